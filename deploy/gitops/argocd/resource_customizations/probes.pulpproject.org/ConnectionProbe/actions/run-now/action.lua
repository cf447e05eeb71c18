-- A new value starts a run; discovery.lua says where this is offered.
local os = require("os")
obj.spec.runID = "argocd-" .. os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
