{{/* The pod of a component. Everything that is the same for all of them is here and nowhere else. */}}

{{/* The environment of a component. Takes root, component and settings. */}}
{{- define "reelway.env" -}}
{{- $v := .root.Values -}}
- name: REELWAY_ROLE
  value: {{ .component }}
- name: REELWAY_DATA
  value: /var/lib/reelway
- name: REELWAY_ADMIN
  value: 0.0.0.0:9090
{{- if eq .component "edge" }}
- name: REELWAY_HTTP
  value: 0.0.0.0:8080
{{- else if ne .component "worker" }}
- name: REELWAY_GRPC
  value: 0.0.0.0:50051
{{- end }}
{{ include "reelway.secretsEnv" . }}
{{- if eq .component "edge" }}
{{ include "reelway.upstreamEnv" . }}
{{- end }}
{{- if ne .component "worker" }}
{{- include "reelway.tlsEnv" . }}
- name: REELWAY_LAME_DUCK
  value: {{ printf "%ds" (int .settings.lameDuckSeconds) }}
- name: REELWAY_GRACE
  value: {{ printf "%ss" (include "reelway.graceSeconds" .) }}
{{- else }}
- name: REELWAY_LAME_DUCK
  value: 0s
- name: REELWAY_DRAIN
  value: {{ printf "%ss" (include "reelway.drainSeconds" .) }}
- name: REELWAY_GRACE
  value: 10s
- name: REELWAY_WORKER_SLOTS
  value: {{ .settings.slots | quote }}
- name: REELWAY_ENCODER_MEMORY
  value: {{ printf "%dM" (int .settings.encoderMemoryMi) }}
- name: REELWAY_WORKER_MEMORY
  value: {{ printf "%dM" (mul (int .settings.slots) (int .settings.encoderMemoryMi)) }}
- name: REELWAY_SANDBOX
  value: {{ .settings.sandbox }}
{{- end }}
{{- with .settings.extraEnv }}
{{ tpl (toYaml .) $.root }}
{{- end }}
{{- end -}}

{{/* Where the servers are. */}}
{{- define "reelway.upstreamEnv" -}}
- name: REELWAY_UPLOAD_URL
  value: {{ include "reelway.grpcUrl" (dict "root" .root "component" "upload") }}
- name: REELWAY_JOBS_URL
  value: {{ include "reelway.grpcUrl" (dict "root" .root "component" "jobs") }}
- name: REELWAY_PROGRESS_URL
  value: {{ include "reelway.grpcUrl" (dict "root" .root "component" "progress") }}
{{- if .root.Values.tls.enabled }}
- name: REELWAY_UPSTREAM_CA
  value: /run/secrets/tls/ca.crt
{{- end }}
{{- end -}}

{{/* The certificate that a server shows. Those behind the edge may ask for one as well: an edge shows its own. */}}
{{- define "reelway.tlsEnv" -}}
{{- if .root.Values.tls.enabled }}
- name: REELWAY_TLS_CERT
  value: /run/secrets/tls/tls.crt
- name: REELWAY_TLS_KEY
  value: /run/secrets/tls/tls.key
{{- if and .root.Values.tls.mutual (ne .component "edge") }}
- name: REELWAY_TLS_CLIENT_CA
  value: /run/secrets/tls/ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{/* The volumes of every container of this image. Takes root and component, and settings if it may have more. */}}
{{- define "reelway.mounts" -}}
- name: data
  mountPath: /var/lib/reelway
- name: tmp
  mountPath: /tmp
- name: secrets
  mountPath: /run/secrets/reelway
  readOnly: true
{{- if and .root.Values.tls.enabled (not (has .component (list "worker" "migrate"))) }}
- name: tls
  mountPath: /run/secrets/tls
  readOnly: true
{{- end }}
{{- if and (include "reelway.storeClaim" .root) (include "reelway.usesStore" .) (ne .component "migrate") }}
- name: store
  mountPath: /var/lib/reelway-store
{{- end }}
{{- with .settings }}
{{- with .extraVolumeMounts }}
{{ tpl (toYaml .) $.root }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "reelway.volumes" -}}
{{- if and (eq .component "worker") .settings.scratch.storageClass }}
- name: data
  ephemeral:
    volumeClaimTemplate:
      spec:
        accessModes: [ReadWriteOnce]
        storageClassName: {{ .settings.scratch.storageClass }}
        resources:
          requests:
            storage: {{ printf "%dGi" (int .settings.scratch.sizeGi) }}
{{- else }}
- name: data
  emptyDir:
    sizeLimit: {{ eq .component "worker" | ternary (printf "%dGi" (int (dig "settings" "scratch" "sizeGi" 0 .))) "256Mi" }}
{{- end }}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{ include "reelway.secretsVolume" . }}
{{- if and .root.Values.tls.enabled (not (has .component (list "worker" "migrate"))) }}
- name: tls
  secret:
    secretName: {{ include "reelway.tlsSecret" .root }}
    defaultMode: 0440
{{- end }}
{{- if and (include "reelway.storeClaim" .root) (include "reelway.usesStore" .) (ne .component "migrate") }}
- name: store
  persistentVolumeClaim:
    claimName: {{ include "reelway.storeClaim" .root }}
{{- end }}
{{- with .settings }}
{{- with .extraVolumes }}
{{ tpl (toYaml .) $.root }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The claim of a file system that all servers share, if the bytes are kept there. */}}
{{- define "reelway.storeClaim" -}}
{{- with .Values.store.sharedVolume -}}
{{- if .create -}}
{{ include "reelway.fullname" $ }}-store
{{- else -}}
{{ .existingClaim }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "reelway.tlsSecret" -}}
{{- .Values.tls.existingSecret | default (printf "%s-tls" (include "reelway.fullname" .)) -}}
{{- end -}}

{{/* A pod's metadata and specification. Takes root, component, settings, and restartPolicy if it isn't Always. */}}
{{- define "reelway.podTemplate" -}}
{{- $v := .root.Values -}}
metadata:
  annotations:
    checksum/settings: {{ include "reelway.settingsData" .root | sha256sum }}
    {{- if or $v.dev.postgres.enabled $v.dev.redis.enabled }}
    checksum/dev: {{ include "reelway.devData" .root | sha256sum }}
    {{- end }}
    {{- with .settings.podAnnotations }}
    {{- tpl (toYaml .) $.root | nindent 4 }}
    {{- end }}
  labels:
    {{- include "reelway.labels" . | nindent 4 }}
    {{- with .settings.podLabels }}
    {{- tpl (toYaml .) $.root | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "reelway.serviceAccount" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ .settings.terminationGracePeriodSeconds }}
  securityContext:
    {{- toYaml $v.podSecurityContext | nindent 4 }}
  {{- with include "reelway.pullSecrets" .root }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with .settings.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .settings.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- with .settings.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .settings.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .settings.affinity }}
  affinity:
    {{- tpl (toYaml .) $.root | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    {{- if .settings.topologySpreadConstraints }}
    {{- tpl (toYaml .settings.topologySpreadConstraints) .root | nindent 4 }}
    {{- else }}
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "reelway.selector" $ | nindent 10 }}
    {{- end }}
    {{- end }}
  {{- with .settings.initContainers }}
  initContainers:
    {{- tpl (toYaml .) $.root | nindent 4 }}
  {{- end }}
  {{- if and (eq $v.migrations.mode "startup") (eq .component "jobs") }}
  {{- if not .settings.initContainers }}
  initContainers:
  {{- end }}
    {{- include "reelway.migrateContainer" .root | nindent 4 }}
  {{- end }}
  containers:
    - name: reelway
      {{- include "reelway.container" . | nindent 6 }}
    {{- with .settings.extraContainers }}
    {{- tpl (toYaml .) $.root | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "reelway.volumes" . | trim | nindent 4 }}
{{- end -}}

{{/* The container of a component. A worker that is a Job ends by itself after a while, as if it had been told to stop. */}}
{{- define "reelway.container" -}}
image: {{ include "reelway.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{- if .lifetimeSeconds }}
command: [timeout, --preserve-status, --signal=TERM, {{ .lifetimeSeconds | quote }}, reelway]
{{- end }}
args:
  - serve
  {{- range .settings.extraArgs }}
  - {{ tpl . $.root | quote }}
  {{- end }}
securityContext:
  {{- toYaml .root.Values.securityContext | nindent 2 }}
env:
  {{- include "reelway.env" . | trim | nindent 2 }}
envFrom:
  - configMapRef:
      name: {{ include "reelway.fullname" .root }}-settings
  {{- with .settings.extraEnvFrom }}
  {{- tpl (toYaml .) $.root | nindent 2 }}
  {{- end }}
ports:
  {{- if eq .component "edge" }}
  - {name: http, containerPort: 8080, protocol: TCP}
  {{- else if ne .component "worker" }}
  - {name: grpc, containerPort: 50051, protocol: TCP}
  {{- end }}
  - {name: admin, containerPort: 9090, protocol: TCP}
{{- if not .lifetimeSeconds }}
startupProbe:
  {{- toYaml .settings.probes.startup | nindent 2 }}
readinessProbe:
  {{- toYaml .settings.probes.readiness | nindent 2 }}
{{- end }}
livenessProbe:
  {{- toYaml .settings.probes.liveness | nindent 2 }}
{{- if and (ne .component "worker") (gt (int .settings.preStopSeconds) 0) }}
lifecycle:
  preStop:
    sleep:
      seconds: {{ .settings.preStopSeconds }}
{{- end }}
resources:
  {{- if eq .component "worker" }}
  {{- include "reelway.workerResources" . | nindent 2 }}
  {{- else }}
  {{- toYaml .settings.resources | nindent 2 }}
  {{- end }}
volumeMounts:
  {{- include "reelway.mounts" . | trim | nindent 2 }}
{{- end -}}
