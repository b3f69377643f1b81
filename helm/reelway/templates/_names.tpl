{{/* What things are called, and the labels by which they are found. */}}

{{- define "reelway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Names of objects begin with this; short enough for every suffix of this chart. */}}
{{- define "reelway.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "reelway.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "reelway.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "reelway.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{/* What selects the pods of one component. It never changes: selectors of a Deployment can't. Takes root and component. */}}
{{- define "reelway.selector" -}}
app.kubernetes.io/name: {{ include "reelway.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* All labels of an object. Takes root and component. */}}
{{- define "reelway.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "reelway.selector" . }}
app.kubernetes.io/part-of: reelway
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | replace "+" "_" | trunc 63 | quote }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Name, namespace and labels of an object. Takes root and component, and name if it isn't the component's. */}}
{{- define "reelway.metadata" -}}
name: {{ .name | default (printf "%s-%s" (include "reelway.fullname" .root) .component) }}
namespace: {{ include "reelway.namespace" .root }}
labels:
  {{- include "reelway.labels" . | nindent 2 }}
{{- end -}}

{{/* An image as the container runtime wants it. Takes root and image. */}}
{{- define "reelway.imageOf" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry -}}
{{- $name := empty $registry | ternary .image.repository (printf "%s/%s" $registry .image.repository) -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "reelway.image" -}}
{{- include "reelway.imageOf" (dict "root" . "image" .Values.image) -}}
{{- end -}}

{{- define "reelway.pullSecrets" -}}
{{- with concat .Values.global.imagePullSecrets .Values.imagePullSecrets | uniq -}}
imagePullSecrets:
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{- define "reelway.serviceAccount" -}}
{{- if .settings.serviceAccount.create -}}
{{- .settings.serviceAccount.name | default (printf "%s-%s" (include "reelway.fullname" .root) .component) -}}
{{- else -}}
{{- .settings.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}
