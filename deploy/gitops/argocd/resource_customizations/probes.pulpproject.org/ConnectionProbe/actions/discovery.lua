local actions = {}
if obj.spec.suspend then
  actions["resume"] = { ["iconClass"] = "fa fa-fw fa-play" }
  return actions
end
actions["suspend"] = { ["iconClass"] = "fa fa-fw fa-pause" }

-- run-now writes spec.runID. Where Git writes one, that would be drift, and self-heal would put Git's value back: one
-- more run. So it is offered only where runID is absent or the action's own; there Argo CD sees no drift. Nor while a
-- run goes on: it would be ended. There is no string library here, and a prefix is a range of the order: "." follows "-".
local runID = obj.spec.runID
local ours = runID == nil or (runID >= "argocd-" and runID < "argocd.")
local running = obj.status ~= nil and obj.status.currentRun ~= nil
if ours and not running then
  actions["run-now"] = { ["iconClass"] = "fa fa-fw fa-redo", ["displayName"] = "Run now" }
end
return actions
