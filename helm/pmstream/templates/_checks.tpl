{{/* Contradictions that a JSON schema cannot tell: each ends the installation with a sentence. */}}
{{- define "pmstream.checks" -}}
{{- $partitions := .Values.settings.inbox_partitions | default 12 | int -}}
{{- $owners := mul (int .Values.instances.replicas) (int .Values.instances.workersPerPod) | int -}}
{{- $sources := .Values.topology.sourcePartitions | int -}}
{{- if and (not .Values.router.enabled) (gt $owners $sources) -}}
{{- fail (printf "instances.replicas * instances.workersPerPod is %d, but the source topic has %d partitions (topology.sourcePartitions): the rest would own nothing" $owners $sources) -}}
{{- end -}}
{{- if and .Values.router.enabled (gt $owners $partitions) -}}
{{- fail (printf "instances.replicas * instances.workersPerPod is %d, but the inbox has %d partitions: the rest would own nothing; have fewer, or set settings.inbox_partitions before the first installation" $owners $partitions) -}}
{{- end -}}
{{- $most := mul (int .Values.router.autoscaling.maxReplicas) (int .Values.router.workersPerPod) | int -}}
{{- if and .Values.router.autoscaling.enabled (gt $most $sources) -}}
{{- fail (printf "router.autoscaling.maxReplicas * router.workersPerPod is %d, but the largest source topic has %d partitions (topology.sourcePartitions): the rest would read nothing" $most $sources) -}}
{{- end -}}
{{- $least := .Values.router.autoscaling.minReplicas | int -}}
{{- if and .Values.router.autoscaling.enabled (gt $least (include "pmstream.mostRouters" . | int)) -}}
{{- fail (printf "router.autoscaling.minReplicas is %d, more than its maximum of %s" $least (include "pmstream.mostRouters" .)) -}}
{{- end -}}
{{- if and .Values.router.enabled (not .Values.router.autoscaling.enabled) (gt (mul (int .Values.router.replicas) (int .Values.router.workersPerPod) | int) $sources) -}}
{{- fail (printf "router.replicas * router.workersPerPod is more than topology.sourcePartitions, %d: the rest would read nothing" $sources) -}}
{{- end -}}
{{- $grace := .Values.termination.gracePeriodSeconds | int -}}
{{- $needed := include "pmstream.graceNeeded" . | int -}}
{{- if and (gt $grace 0) (lt $grace $needed) -}}
{{- fail (printf "termination.gracePeriodSeconds is %d, but draining, shutting down and the transaction timeout may take %d: a worker would be killed within its transaction" $grace $needed) -}}
{{- end -}}
{{- $session := .Values.settings.session_timeout_ms | default 10000 | int64 -}}
{{- $poll := .Values.settings.max_poll_interval_ms | default 120000 | int64 -}}
{{- if ge $session $poll -}}
{{- fail (printf "settings.session_timeout_ms is %d, which must be less than max_poll_interval_ms, %d" $session $poll) -}}
{{- end -}}
{{- if .Values.networkPolicy.enabled -}}
{{- range splitList "," .Values.kafka.bootstrapServers -}}
{{- $port := regexFind "[0-9]+$" (trim .) | int64 -}}
{{- $open := false -}}
{{- range $.Values.networkPolicy.kafkaPorts -}}{{- if eq (int64 .) $port -}}{{- $open = true -}}{{- end -}}{{- end -}}
{{- if not $open -}}
{{- fail (printf "kafka.bootstrapServers names port %d, which networkPolicy.kafkaPorts does not open" $port) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.kafka.tls.clientSecret (not .Values.kafka.tls.enabled) -}}
{{- fail "kafka.tls.clientSecret needs kafka.tls.enabled: a certificate is shown over TLS only" -}}
{{- end -}}
{{- $elsewhere := and .Values.strimzi.namespace (ne .Values.strimzi.namespace .Release.Namespace) -}}
{{- if and $elsewhere .Values.strimzi.user.enabled (not (or .Values.kafka.sasl.existingSecret .Values.kafka.tls.clientSecret)) -}}
{{- fail (printf "strimzi makes the Secret %s in namespace %s, where these pods cannot read it: copy it to %s and name it by kafka.sasl.existingSecret or kafka.tls.clientSecret" (include "pmstream.strimziUser" .) .Values.strimzi.namespace .Release.Namespace) -}}
{{- end -}}
{{- if and $elsewhere .Values.kafka.tls.enabled (not .Values.kafka.tls.caSecret) -}}
{{- fail (printf "the CA of Strimzi's cluster is in namespace %s, where these pods cannot read it: copy the Secret %s-cluster-ca-cert to %s and name it by kafka.tls.caSecret" .Values.strimzi.namespace .Values.strimzi.cluster .Release.Namespace) -}}
{{- end -}}
{{- if and .Values.strimzi.user.enabled (eq .Values.strimzi.user.authentication "tls") (not .Values.kafka.tls.enabled) -}}
{{- fail "strimzi.user.authentication is tls: set kafka.tls.enabled" -}}
{{- end -}}
{{- end }}

{{- define "pmstream.mostRouters" -}}
{{ .Values.router.autoscaling.maxReplicas | int | default (div (int .Values.topology.sourcePartitions) (int .Values.router.workersPerPod) | int) }}
{{- end }}
