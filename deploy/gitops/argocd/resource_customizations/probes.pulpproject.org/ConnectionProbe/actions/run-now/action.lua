-- A new value starts a run. Git does not know the annotation, so it is no drift.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["probes.pulpproject.org/requestedAt"] = "argocd-" .. os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
