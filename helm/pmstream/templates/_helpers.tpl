{{- define "pmstream.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* What never changes in the life of a release: selectors and volume claims are immutable. */}}
{{- define "pmstream.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pmstream.labels" -}}
{{ include "pmstream.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "pmstream.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "pmstream.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "pmstream.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{/* A number as people write it: Helm's own way makes 16777216 to 1.6777216e+07. */}}
{{- define "pmstream.text" -}}
{{- if kindIs "float64" . -}}
{{- if eq (floor .) . -}}{{ int64 . }}{{- else -}}{{ printf "%v" . }}{{- end -}}
{{- else -}}
{{ . }}
{{- end -}}
{{- end }}

{{- define "pmstream.strimziUser" -}}
{{ .Values.strimzi.user.name | default (include "pmstream.fullname" .) }}
{{- end }}

{{/* Seconds until SIGKILL that let a worker end its transaction and flush its stores. */}}
{{- define "pmstream.graceNeeded" -}}
{{- $shutdown := .Values.settings.shutdown_timeout_s | default 30 -}}
{{- $transaction := .Values.settings.transaction_timeout_ms | default 60000 -}}
{{ add (int .Values.termination.drainSeconds) (ceil $shutdown | int) (divf $transaction 1000 | ceil | int) }}
{{- end }}

{{- define "pmstream.grace" -}}
{{- $given := int .Values.termination.gracePeriodSeconds -}}
{{ ternary (include "pmstream.graceNeeded" .) (toString $given) (eq $given 0) }}
{{- end }}

{{- define "pmstream.sourceGroup" -}}
{{ .root.Values.topology.appName }}.{{ .manager }}.{{ .role }}
{{- end }}

{{/* Kubernetes names have no capitals and no underscores; topics may. */}}
{{- define "pmstream.objectName" -}}
{{ . | lower | replace "_" "-" | trunc 253 | trimAll ".-" }}
{{- end }}
