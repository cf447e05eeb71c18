local actions = {}
if obj.spec.suspend then
  actions["resume"] = { ["iconClass"] = "fa fa-fw fa-play" }
  return actions
end
actions["suspend"] = { ["iconClass"] = "fa fa-fw fa-pause" }

-- While a run goes on, the operator would refuse another.
local running = obj.status ~= nil and obj.status.currentRun ~= nil
if not running then
  actions["run-now"] = { ["iconClass"] = "fa fa-fw fa-redo", ["displayName"] = "Run now" }
end
return actions
