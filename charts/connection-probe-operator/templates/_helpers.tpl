{{- define "name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The release's name if it has the chart's in it, else both. */}}
{{- define "fullname" -}}
{{- $name := include "name" . }}
{{- $both := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- .Values.fullnameOverride | default $both | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "selectorLabels" -}}
app.kubernetes.io/name: {{ include "name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "labels" -}}
{{ include "selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: connection-probe
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "serviceAccountName" -}}
{{ .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "fullname" .) "default") }}
{{- end }}

{{- define "image" -}}
{{- $repository := required "image.repository: write where you pushed the image to" .Values.image.repository }}
{{- with .Values.image.digest }}{{ $repository }}@{{ . }}{{ else }}{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* The namespaces in scope, as JSON; empty: the whole cluster. */}}
{{- define "namespaces" -}}
{{- with .Values.scope }}
{{- if and .ownNamespace .namespaces }}{{ fail "scope: write either namespaces or ownNamespace" }}{{ end }}
{{- .ownNamespace | ternary (list $.Release.Namespace) .namespaces | uniq | toJson }}
{{- end }}
{{- end }}

{{/* What stands in the metadata of what can have labels and annotations of the user's: (values, context). */}}
{{- define "metadata" -}}
{{- $values := index . 0 }}{{ $context := index . 1 -}}
labels:
  {{- include "labels" $context | nindent 2 }}
  {{- with $values.labels }}{{ toYaml . | nindent 2 }}{{ end }}
{{- with $values.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
