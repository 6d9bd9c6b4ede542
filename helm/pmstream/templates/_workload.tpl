{{/* (dict "root" $ "role" "router"|"instances" "values" .Values.router) */}}
{{- define "pmstream.workload" -}}
{{- $ := .root -}}
{{- $name := printf "%s-%s" (include "pmstream.fullname" $) .role -}}
{{- $stateful := eq $.Values.workload.kind "StatefulSet" -}}
{{- $scaled := and (eq .role "router") $.Values.router.autoscaling.enabled -}}
apiVersion: apps/v1
kind: {{ $.Values.workload.kind }}
metadata:
  name: {{ $name }}
  labels:
    {{- include "pmstream.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
spec:
  {{- if not $scaled }}
  replicas: {{ int .values.replicas }}
  {{- end }}
  minReadySeconds: {{ int $.Values.minReadySeconds }}
  revisionHistoryLimit: 5
  selector:
    matchLabels:
      {{- include "pmstream.selector" $ | nindent 6 }}
      app.kubernetes.io/component: {{ .role }}
  {{- if $stateful }}
  serviceName: {{ $name }}
  podManagementPolicy: Parallel
  updateStrategy: {type: RollingUpdate}
  {{- else }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 1, maxSurge: 0}
  {{- end }}
  {{- if and $stateful (eq .role "instances") }}
  {{- with .values.storage }}
  persistentVolumeClaimRetentionPolicy:
    whenDeleted: {{ .whenDeleted }}
    whenScaled: {{ .whenScaled }}
  volumeClaimTemplates:
    - apiVersion: v1
      kind: PersistentVolumeClaim
      metadata:
        name: state
        labels:
          {{- include "pmstream.selector" $ | nindent 10 }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .storageClass }}
        storageClassName: {{ . | quote }}
        {{- end }}
        resources:
          requests: {storage: {{ .size }}}
  {{- end }}
  {{- end }}
  template:
    {{- include "pmstream.pod" . | nindent 4 }}
{{- end }}

{{/* What a StatefulSet calls its pods by; nobody else needs it. */}}
{{- define "pmstream.headless" -}}
{{- $ := .root -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "pmstream.fullname" $ }}-{{ .role }}
  labels:
    {{- include "pmstream.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    {{- include "pmstream.selector" $ | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
  ports:
    - {name: health, port: {{ int $.Values.health.port }}, targetPort: health, protocol: TCP}
{{- end }}

{{- define "pmstream.budget" -}}
{{- $ := .root -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "pmstream.fullname" $ }}-{{ .role }}
  labels:
    {{- include "pmstream.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
spec:
  maxUnavailable: {{ int $.Values.podDisruptionBudget.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "pmstream.selector" $ | nindent 6 }}
      app.kubernetes.io/component: {{ .role }}
{{- end }}
