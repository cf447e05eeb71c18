-- The status follows kstatus: Reconciling and Stalled are there only while True, and never both.
-- A connection that was cut is a finding, and the probe is healthy. Only an expectation that its author wrote down
-- (ExpectationsMet) turns a finding into a failure.
local hs = { status = "Progressing", message = "Waiting for the operator" }
if obj.status == nil or obj.status.conditions == nil then
  return hs
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return hs
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end

local function is(type, status)
  local condition = conditions[type]
  if condition == nil or condition.status ~= status then
    return false
  end
  hs.message = condition.message
  return true
end

if is("Stalled", "True") then
  hs.status = "Degraded"
elseif is("Reconciling", "True") then
  hs.status = "Progressing"
elseif is("ExpectationsMet", "False") then
  hs.status = "Degraded"
elseif is("Ready", "True") then
  hs.status = conditions.Ready.reason == "Suspended" and "Suspended" or "Healthy"
end
return hs
