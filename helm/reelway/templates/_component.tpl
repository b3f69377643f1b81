{{/* What a component is: its values, and what follows from them. */}}

{{/* The components that serve something, and all of them. */}}
{{- define "reelway.servers" -}}
upload jobs progress edge
{{- end -}}
{{- define "reelway.components" -}}
{{ include "reelway.servers" . }} worker
{{- end -}}

{{/* The values of a component over those of `defaults`, as YAML. Takes root and component. */}}
{{- define "reelway.settings" -}}
{{- $own := index .root.Values .component -}}
{{- mergeOverwrite (deepCopy .root.Values.defaults) (deepCopy $own) | toYaml -}}
{{- end -}}

{{/* How many replicas there are at least. Takes settings. */}}
{{- define "reelway.replicasMin" -}}
{{- $scaling := .settings.autoscaling -}}
{{- if dig "scaledObject" "enabled" false $scaling -}}
{{- $scaling.minReplicas -}}
{{- else if dig "enabled" false $scaling -}}
{{- $scaling.minReplicas -}}
{{- else -}}
{{- .settings.replicas -}}
{{- end -}}
{{- end -}}

{{/* Seconds that a stopping server has for its last answers: what is left of its grace period. Takes settings. */}}
{{- define "reelway.graceSeconds" -}}
{{- $s := .settings -}}
{{- sub (int $s.terminationGracePeriodSeconds) (add (int $s.preStopSeconds) (int $s.lameDuckSeconds) 5) -}}
{{- end -}}

{{/* Seconds that running tasks of a stopping worker have: its grace period without 30 s for handing back what is left. */}}
{{- define "reelway.drainSeconds" -}}
{{- sub (int .settings.terminationGracePeriodSeconds) 30 -}}
{{- end -}}

{{/* Whether a component reads or writes the store: all but the one that only tells of progress. */}}
{{- define "reelway.usesStore" -}}
{{- if ne .component "progress" -}}true{{- end -}}
{{- end -}}

{{/* How others reach a gRPC server: by the headless service, so that connections spread over its pods. */}}
{{- define "reelway.grpcUrl" -}}
{{- $scheme := .root.Values.tls.enabled | ternary "https" "http" -}}
{{- printf "%s://%s-%s-headless.%s.svc:50051" $scheme (include "reelway.fullname" .root) .component (include "reelway.namespace" .root) -}}
{{- end -}}

{{/* Where pods reach the edge. */}}
{{- define "reelway.edgeUrl" -}}
{{- printf "%s://%s-edge.%s.svc:8080" (.Values.tls.enabled | ternary "https" "http") (include "reelway.fullname" .) (include "reelway.namespace" .) -}}
{{- end -}}

{{/* The resources of a worker: memory for each slot, and disk for what it works on, unless its values say so themselves. */}}
{{- define "reelway.workerResources" -}}
{{- $w := .settings -}}
{{- $memory := printf "%dMi" (add (mul (int $w.slots) (int $w.encoderMemoryMi)) (int $w.overheadMemoryMi)) -}}
{{- $disk := printf "%dGi" (add (int $w.scratch.sizeGi) 1) -}}
{{- $limits := dict "memory" $memory -}}
{{- $requests := dict "cpu" (printf "%d" (int $w.slots)) "memory" (printf "%dMi" (add (div (mul (int $w.slots) (int $w.encoderMemoryMi)) 2) (int $w.overheadMemoryMi))) -}}
{{- if not $w.scratch.storageClass -}}
{{- $_ := set $limits "ephemeral-storage" $disk -}}
{{- $_ := set $requests "ephemeral-storage" $disk -}}
{{- end -}}
{{- mergeOverwrite (dict "requests" $requests "limits" $limits) (deepCopy .root.Values.worker.resources) | toYaml -}}
{{- end -}}
