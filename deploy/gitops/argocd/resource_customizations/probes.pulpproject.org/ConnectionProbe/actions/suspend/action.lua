-- A run that is going on goes on.
obj.spec.suspend = true
return obj
