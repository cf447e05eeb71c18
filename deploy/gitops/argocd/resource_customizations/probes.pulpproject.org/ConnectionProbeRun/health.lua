-- The status follows kstatus: Reconciling and Stalled are there only while True, and never both.
local hs = { status = "Progressing", message = "Waiting for the operator" }
if obj.status == nil or obj.status.conditions == nil then
  return hs
end

for _, condition in ipairs(obj.status.conditions) do
  if condition.status == "True" then
    if condition.type == "Stalled" then
      return { status = "Degraded", message = condition.message }
    elseif condition.type == "Reconciling" then
      return { status = "Progressing", message = condition.message }
    elseif condition.type == "Ready" then
      hs = { status = "Healthy", message = condition.message }
    end
  end
end
return hs
