{{/* Where secrets come from. Nearly all become files below /run/secrets/reelway; the environment names the files. */}}

{{/* The secret with the URLs of what this chart runs for trying out. */}}
{{- define "reelway.devSecret" -}}
{{ include "reelway.fullname" . }}-dev
{{- end -}}

{{- define "reelway.databaseSecret" -}}
{{- if .Values.dev.postgres.enabled -}}
{{ dict "name" (include "reelway.devSecret" .) "key" "database_url" | toJson }}
{{- else -}}
{{ dict "name" .Values.database.existingSecret "key" .Values.database.key | toJson }}
{{- end -}}
{{- end -}}

{{- define "reelway.redisSecret" -}}
{{- if .Values.dev.redis.enabled -}}
{{ dict "name" (include "reelway.devSecret" .) "key" "redis_url" | toJson }}
{{- else -}}
{{ dict "name" .Values.redis.existingSecret "key" .Values.redis.key | toJson }}
{{- end -}}
{{- end -}}

{{/* One source of the projected volume. Takes from (name and key) and file. */}}
{{- define "reelway.secretFile" -}}
- secret:
    name: {{ .from.name }}
    items:
      - key: {{ .from.key }}
        path: {{ .file }}
{{- end -}}

{{/* The volume with all secrets of a component. Takes root and component. */}}
{{- define "reelway.secretsVolume" -}}
{{- $v := .root.Values -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- include "reelway.secretFile" (dict "file" "database_url" "from" (include "reelway.databaseSecret" .root | fromJson)) | nindent 6 }}
      {{- if ne .component "migrate" }}
      {{- include "reelway.secretFile" (dict "file" "redis_url" "from" (include "reelway.redisSecret" .root | fromJson)) | nindent 6 }}
      {{- if $v.redis.caSecret.name }}
      {{- include "reelway.secretFile" (dict "file" "redis_ca.pem" "from" $v.redis.caSecret) | nindent 6 }}
      {{- end }}
      {{- if $v.auth.signingKeySecret.name }}
      {{- include "reelway.secretFile" (dict "file" "signing_key" "from" $v.auth.signingKeySecret) | nindent 6 }}
      {{- end }}
      {{- if and $v.store.gcs.existingSecret (include "reelway.usesStore" .) }}
      {{- include "reelway.secretFile" (dict "file" "gcs.json" "from" (dict "name" $v.store.gcs.existingSecret "key" $v.store.gcs.key)) | nindent 6 }}
      {{- end }}
      {{- end }}
      {{- if and (eq .component "jobs") $v.webhooks.urls }}
      {{- include "reelway.secretFile" (dict "file" "webhook_secret" "from" $v.webhooks.secret) | nindent 6 }}
      {{- end }}
      {{- if and (eq .component "test") $v.tests.tokenSecret.name }}
      {{- include "reelway.secretFile" (dict "file" "token" "from" $v.tests.tokenSecret) | nindent 6 }}
      {{- end }}
{{- end -}}

{{/* The environment that names the files, and the keys of a bucket, which its client takes from nowhere else. */}}
{{- define "reelway.secretsEnv" -}}
{{- $v := .root.Values -}}
- name: REELWAY_DATABASE_FILE
  value: /run/secrets/reelway/database_url
{{- if ne .component "migrate" }}
- name: REELWAY_REDIS_FILE
  value: /run/secrets/reelway/redis_url
{{- if $v.redis.caSecret.name }}
- name: REELWAY_REDIS_CA_FILE
  value: /run/secrets/reelway/redis_ca.pem
{{- end }}
{{- if $v.auth.signingKeySecret.name }}
- name: REELWAY_SIGNING_KEY_FILE
  value: /run/secrets/reelway/signing_key
{{- end }}
{{- if include "reelway.usesStore" . }}
{{- if $v.store.gcs.existingSecret }}
- name: GOOGLE_SERVICE_ACCOUNT
  value: /run/secrets/reelway/gcs.json
{{- end }}
{{- with $v.store.s3 }}
{{- if .region }}
- name: AWS_REGION
  value: {{ .region | quote }}
{{- end }}
{{- if .existingSecret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef: {name: {{ .existingSecret }}, key: {{ .accessKeyIdKey }}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef: {name: {{ .existingSecret }}, key: {{ .secretAccessKeyKey }}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if and (eq .component "jobs") $v.webhooks.urls }}
- name: REELWAY_WEBHOOK_URL
  value: {{ join "," $v.webhooks.urls | quote }}
- name: REELWAY_WEBHOOK_SECRET_FILE
  value: /run/secrets/reelway/webhook_secret
{{- end }}
{{- if and (eq .component "test") $v.tests.tokenSecret.name }}
- name: REELWAY_TOKEN_FILE
  value: /run/secrets/reelway/token
{{- end }}
{{- end -}}
