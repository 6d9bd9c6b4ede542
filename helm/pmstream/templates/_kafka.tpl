{{/* Where credentials are mounted. */}}
{{- define "pmstream.secretsDir" -}}/etc/pmstream/secrets{{- end }}
{{- define "pmstream.tlsDir" -}}/etc/pmstream/tls{{- end }}

{{- define "pmstream.saslSecret" -}}
{{- if .Values.kafka.sasl.existingSecret -}}
{{ .Values.kafka.sasl.existingSecret }}
{{- else if and .Values.strimzi.user.enabled (ne .Values.strimzi.user.authentication "tls") -}}
{{ include "pmstream.strimziUser" . }}
{{- end -}}
{{- end }}

{{/* A KafkaUser's Secret holds no name: it is the user's. */}}
{{- define "pmstream.saslUsername" -}}
{{- if .Values.kafka.sasl.username -}}
{{ .Values.kafka.sasl.username }}
{{- else if and .Values.strimzi.user.enabled (not .Values.kafka.sasl.existingSecret) -}}
{{ include "pmstream.strimziUser" . }}
{{- end -}}
{{- end }}

{{- define "pmstream.saslMechanism" -}}
{{- if .Values.kafka.sasl.mechanism -}}
{{ .Values.kafka.sasl.mechanism }}
{{- else if and .Values.strimzi.user.enabled (ne .Values.strimzi.user.authentication "tls") -}}
SCRAM-SHA-512
{{- end -}}
{{- end }}

{{- define "pmstream.clientSecret" -}}
{{- if .Values.kafka.tls.clientSecret -}}
{{ .Values.kafka.tls.clientSecret }}
{{- else if and .Values.strimzi.user.enabled (eq .Values.strimzi.user.authentication "tls") -}}
{{ include "pmstream.strimziUser" . }}
{{- end -}}
{{- end }}

{{- define "pmstream.caSecret" -}}
{{- if .Values.kafka.tls.caSecret -}}
{{ .Values.kafka.tls.caSecret }}
{{- else if and .Values.kafka.tls.enabled .Values.strimzi.cluster -}}
{{ .Values.strimzi.cluster }}-cluster-ca-cert
{{- end -}}
{{- end }}

{{/* librdkafka properties: derived ones first, the deployment's own win. */}}
{{- define "pmstream.kafkaProperties" -}}
{{- $found := dict -}}
{{- $tls := .Values.kafka.tls -}}
{{- $protocol := ternary "SSL" "PLAINTEXT" $tls.enabled -}}
{{- with include "pmstream.saslMechanism" . -}}
{{- $protocol = ternary "SASL_SSL" "SASL_PLAINTEXT" $tls.enabled -}}
{{- $_ := set $found "sasl.mechanism" . -}}
{{- with include "pmstream.saslUsername" $ -}}{{- $_ := set $found "sasl.username" . -}}{{- end -}}
{{- end -}}
{{- if ne $protocol "PLAINTEXT" -}}{{- $_ := set $found "security.protocol" $protocol -}}{{- end -}}
{{- if include "pmstream.caSecret" . -}}
{{- $_ := set $found "ssl.ca.location" (printf "%s/ca/%s" (include "pmstream.tlsDir" .) $tls.caKey) -}}
{{- end -}}
{{- if include "pmstream.clientSecret" . -}}
{{- $strimzi := and .Values.strimzi.user.enabled (not $tls.clientSecret) -}}
{{- $folder := printf "%s/client" (include "pmstream.tlsDir" .) -}}
{{- $_ := set $found "ssl.certificate.location" (printf "%s/%s" $folder (ternary "user.crt" $tls.certKey $strimzi)) -}}
{{- $_ := set $found "ssl.key.location" (printf "%s/%s" $folder (ternary "user.key" $tls.keyKey $strimzi)) -}}
{{- end -}}
{{- toYaml (merge (deepCopy .Values.kafka.properties) $found) -}}
{{- end }}

{{- define "pmstream.env" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: PMSTREAM_BOOTSTRAP_SERVERS
  value: {{ .Values.kafka.bootstrapServers | quote }}
- name: PMSTREAM_STATE_DIR
  value: /var/lib/pmstream
- name: PMSTREAM_HEALTH_PORT
  value: {{ include "pmstream.text" .Values.health.port | quote }}
{{- if or .Values.existingSecret (include "pmstream.saslSecret" .) }}
- name: PMSTREAM_SECRETS_DIR
  value: {{ include "pmstream.secretsDir" . }}
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: PMSTREAM_{{ upper $name }}
  value: {{ include "pmstream.text" $value | quote }}
{{- end }}
{{- range $name, $value := (include "pmstream.kafkaProperties" . | fromYaml) }}
- name: PMSTREAM_KAFKA__{{ $name | replace "." "__" }}
  value: {{ include "pmstream.text" $value | quote }}
{{- end }}
{{- range $name, $value := .Values.appValues }}
- name: PMSTREAM_APP__{{ $name | replace "." "__" }}
  value: {{ include "pmstream.text" $value | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Secrets as files: of the app, of SASL, of TLS. */}}
{{- define "pmstream.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 100Mi}
{{- $sasl := include "pmstream.saslSecret" . }}
{{- if or .Values.existingSecret $sasl }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- with .Values.existingSecret }}
      - secret: {name: {{ . | quote }}}
      {{- end }}
      {{- if $sasl }}
      - secret:
          name: {{ $sasl | quote }}
          items:
            - {key: {{ .Values.kafka.sasl.passwordKey | quote }}, path: PMSTREAM_KAFKA__sasl__password}
            {{- if not (include "pmstream.saslUsername" .) }}
            - {key: {{ .Values.kafka.sasl.usernameKey | quote }}, path: PMSTREAM_KAFKA__sasl__username}
            {{- end }}
      {{- end }}
{{- end }}
{{- with include "pmstream.caSecret" . }}
- name: tls-ca
  secret: {secretName: {{ . | quote }}, defaultMode: 0440}
{{- end }}
{{- with include "pmstream.clientSecret" . }}
- name: tls-client
  secret: {secretName: {{ . | quote }}, defaultMode: 0440}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "pmstream.volumeMounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if or .Values.existingSecret (include "pmstream.saslSecret" .) }}
- {name: secrets, mountPath: {{ include "pmstream.secretsDir" . }}, readOnly: true}
{{- end }}
{{- if include "pmstream.caSecret" . }}
- {name: tls-ca, mountPath: {{ include "pmstream.tlsDir" . }}/ca, readOnly: true}
{{- end }}
{{- if include "pmstream.clientSecret" . }}
- {name: tls-client, mountPath: {{ include "pmstream.tlsDir" . }}/client, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
