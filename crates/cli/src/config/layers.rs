//! One layer of options over another.

use crate::serve_args::ServeOptions;

/// What one layer says of each option, and where it says nothing what the one below says.
macro_rules! layered {
    ($upper:ident over $below:ident: $($option:ident),+; as they are: $($known:ident),+) => {
        ServeOptions {
            $($option: $upper.$option.or($below.$option),)+
            $($known,)+
        }
    };
}

impl ServeOptions {
    /// This layer, and where it says nothing the one below.
    pub(super) fn or(self, below: Self) -> Self {
        // A value and the file that holds it are one setting.
        let (database, database_file) = pair(self.database, self.database_file, below.database, below.database_file);
        let (redis, redis_file) = pair(self.redis, self.redis_file, below.redis, below.redis_file);
        let (webhook_secret, webhook_secret_file) = pair(
            self.webhook_secret,
            self.webhook_secret_file,
            below.webhook_secret,
            below.webhook_secret_file,
        );
        let (signing_key, signing_key_file) = pair(
            self.signing_key,
            self.signing_key_file,
            below.signing_key,
            below.signing_key_file,
        );
        layered! {
            self over below:
                role, data, http, grpc, upload_grpc, jobs_grpc, progress_grpc, admin, redis_ca_file, redis_prefix,
                store, store_endpoint, store_encryption, store_storage_class, output_store, output_store_endpoint,
                output_store_encryption, output_store_storage_class, archive_store, archive_store_endpoint,
                archive_store_encryption, archive_store_storage_class, preset_source, upload_memory, worker_slots, worker_memory, worker_source_cache, encoder_memory, encoder_stall, sandbox, source_pixels_max,
                source_duration_max, source_streams_max, source_audio_tracks_max, source_subtitle_tracks_max,
                source_frame_rate_max, public_url, server, upload_url,
                jobs_url, progress_url, upstream_ca, tls_cert, tls_key, tls_client_ca, cors_origin, trusted_proxy,
                playback, playback_delivery, playback_public_url, tenant_bytes_max, tenant_uploads_open_max, rate_per_tenant, rate_per_address,
                http_connections, http_connections_per_address, upload_expiry, upload_idle, stream_window, max_connection_age,
                lame_duck, drain, grace, webhook_url, webhook_allow_private, otlp, trace_ratio, auth, jwt_jwks,
                jwt_issuer, jwt_audience, jwt_algorithms, jwt_leeway, jwt_tenant_claim, jwt_scope_claim, insecure,
                log, log_format;
            as they are:
                database, database_file, redis, redis_file, webhook_secret, webhook_secret_file, signing_key,
                signing_key_file
        }
    }
}

/// The upper layer's pair if it has any of the two, otherwise the lower one's.
fn pair<A, B>(
    upper: Option<A>,
    upper_file: Option<B>,
    below: Option<A>,
    below_file: Option<B>,
) -> (Option<A>, Option<B>) {
    if upper.is_some() || upper_file.is_some() {
        (upper, upper_file)
    } else {
        (below, below_file)
    }
}
