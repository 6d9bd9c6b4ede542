{{/*
The pod of one role: (dict "root" $ "role" "router"|"instances" "values" .Values.router).
A StatefulSet's pod keeps its name, and with it group.instance.id and transactional.id: whoever
comes back ends its predecessor's transaction at once.
*/}}
{{- define "pmstream.pod" -}}
{{- $ := .root -}}
{{- $instances := eq .role "instances" -}}
metadata:
  labels:
    {{- include "pmstream.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
    {{- with .values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: pmstream
    {{- with .values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "pmstream.podBasics" (dict "root" $ "hook" false) | nindent 2 }}
  terminationGracePeriodSeconds: {{ include "pmstream.grace" $ }}
  {{- with .values.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- with .values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $.Values.topologySpread.enabled }}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: {{ $.Values.topologySpread.whenUnsatisfiable }}
      labelSelector:
        matchLabels:
          {{- include "pmstream.selector" $ | nindent 10 }}
          app.kubernetes.io/component: {{ $instances | ternary "instances" "router" }}
    {{- end }}
  {{- end }}
  containers:
    - name: pmstream
      {{- include "pmstream.containerBasics" $ | nindent 6 }}
      args:
        - run
        - {{ $.Values.app | quote }}
        - --role={{ .role }}
        - --name=$(POD_NAME)
        - --{{ $instances | ternary "workers" "routers" }}={{ int .values.workersPerPod }}
        - --restart={{ $.Values.restart.strategy }}
        - --max-restarts={{ int $.Values.restart.maxRestarts }}
        - --within={{ int $.Values.restart.withinSeconds }}
      ports:
        - {name: health, containerPort: {{ int $.Values.health.port }}, protocol: TCP}
      startupProbe:
        {{- include "pmstream.probe" (dict "path" "/startupz" "with" $.Values.health.startup) | nindent 8 }}
      readinessProbe:
        {{- include "pmstream.probe" (dict "path" "/readyz" "with" $.Values.health.readiness) | nindent 8 }}
      livenessProbe:
        {{- include "pmstream.probe" (dict "path" "/livez" "with" $.Values.health.liveness) | nindent 8 }}
      lifecycle:
        preStop:
          sleep: {seconds: {{ int $.Values.termination.drainSeconds }}}
      resources:
        {{- if and $instances (eq $.Values.workload.kind "Deployment") }}
        {{- /* An emptyDir counts: a smaller limit would evict the pod long before the volume is full. */}}
        {{- $room := dict "ephemeral-storage" $.Values.instances.emptyDirSizeLimit }}
        {{- $raised := dict "requests" $room "limits" $room }}
        {{- toYaml (mergeOverwrite (deepCopy .values.resources) $raised) | nindent 8 }}
        {{- else }}
        {{- toYaml .values.resources | nindent 8 }}
        {{- end }}
      volumeMounts:
        {{- include "pmstream.volumeMounts" $ | nindent 8 }}
        {{- if $instances }}
        - {name: state, mountPath: /var/lib/pmstream}
        {{- end }}
  volumes:
    {{- include "pmstream.volumes" $ | nindent 4 }}
    {{- if and $instances (eq $.Values.workload.kind "Deployment") }}
    - name: state
      emptyDir: {sizeLimit: {{ $.Values.instances.emptyDirSizeLimit }}}
    {{- end }}
{{- end }}

{{- define "pmstream.probe" -}}
httpGet: {path: {{ .path }}, port: health}
periodSeconds: {{ int .with.periodSeconds }}
timeoutSeconds: 3
failureThreshold: {{ int .with.failureThreshold }}
{{- end }}

{{/*
Of every pod: no links (their variables would be taken for settings), no token, no root.
(dict "root" $ "hook" bool); a hook comes before the release's own ServiceAccount.
*/}}
{{- define "pmstream.podBasics" -}}
{{- $ := .root -}}
{{- $user := int $.Values.securityContext.runAsUser -}}
enableServiceLinks: false
automountServiceAccountToken: false
{{- with $.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ $user }}
  runAsGroup: {{ $user }}
  fsGroup: {{ $user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- if not (and .hook $.Values.serviceAccount.create) }}
serviceAccountName: {{ include "pmstream.serviceAccount" $ }}
{{- end }}
{{- end }}

{{- define "pmstream.containerBasics" -}}
image: {{ include "pmstream.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [pmstream]
env:
  {{- include "pmstream.env" . | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* The pod of a job: (dict "root" $ "component" "topics" "args" (list ...) "resources" ... "restart" ...). */}}
{{- define "pmstream.jobPod" -}}
{{- $ := .root -}}
metadata:
  labels:
    {{- include "pmstream.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  {{- include "pmstream.podBasics" (dict "root" $ "hook" (.hook | default false)) | nindent 2 }}
  restartPolicy: {{ .restart }}
  containers:
    - name: {{ .component }}
      {{- include "pmstream.containerBasics" $ | nindent 6 }}
      args:
        {{- range .args }}
        - {{ . | quote }}
        {{- end }}
      resources:
        {{- toYaml .resources | nindent 8 }}
      volumeMounts:
        {{- include "pmstream.volumeMounts" $ | nindent 8 }}
        - {name: state, mountPath: /var/lib/pmstream}
  volumes:
    {{- include "pmstream.volumes" $ | nindent 4 }}
    - name: state
      emptyDir: {sizeLimit: 100Mi}
{{- end }}
