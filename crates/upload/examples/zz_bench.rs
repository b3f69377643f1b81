#![allow(warnings)]
use std::{time::Instant, sync::Arc, os::unix::fs::FileExt};
use bytes::Bytes;
use reelway::v1::{self, upload_service_client::UploadServiceClient, upload_service_server::*};
use tonic::{*, transport::Channel};
use tokio_stream::StreamExt;
use reelway_rpc::GrpcServer;
struct Bare(std::path::PathBuf);
#[tonic::async_trait]
impl UploadService for Bare {
    type StreamUploadStream = tokio_stream::wrappers::ReceiverStream<Result<v1::StreamUploadResponse, Status>>;
    async fn create_upload(&self, r: Request<v1::CreateUploadRequest>) -> Result<Response<v1::CreateUploadResponse>, Status> {
        Ok(Response::new(v1::CreateUploadResponse{upload: Some(v1::Upload{id: format!("f{}", rand_id()), ..Default::default()}), chunk_bytes_max: 0})) }
    async fn write_upload(&self, r: Request<Streaming<v1::WriteUploadRequest>>) -> Result<Response<v1::WriteUploadResponse>, Status> {
        let mut s = r.into_inner(); let f = Arc::new(std::fs::File::create(self.0.join(rand_id())).unwrap()); let mut n=0;
        while let Some(m) = s.next().await { let c = m?.chunk.unwrap(); let f=f.clone(); n = c.offset + c.data.len() as i64;
            tokio::task::spawn_blocking(move || f.write_all_at(&c.data, c.offset as u64)).await.unwrap().unwrap(); }
        tokio::task::spawn_blocking(move || f.sync_data()).await.unwrap().unwrap();
        Ok(Response::new(v1::WriteUploadResponse{durable_offset:n, upload: None})) }
    async fn stream_upload(&self, r: Request<Streaming<v1::StreamUploadRequest>>) -> Result<Response<Self::StreamUploadStream>, Status> { Err(Status::unimplemented("")) }
    async fn put_upload_tail(&self, r: Request<Streaming<v1::PutUploadTailRequest>>) -> Result<Response<v1::PutUploadTailResponse>, Status> { Err(Status::unimplemented("")) }
    async fn get_upload(&self, r: Request<v1::GetUploadRequest>) -> Result<Response<v1::GetUploadResponse>, Status> { Err(Status::unimplemented("")) }
    async fn list_uploads(&self, r: Request<v1::ListUploadsRequest>) -> Result<Response<v1::ListUploadsResponse>, Status> { Err(Status::unimplemented("")) }
    async fn complete_upload(&self, r: Request<v1::CompleteUploadRequest>) -> Result<Response<v1::CompleteUploadResponse>, Status> { Err(Status::unimplemented("")) }
    async fn abort_upload(&self, r: Request<v1::AbortUploadRequest>) -> Result<Response<v1::AbortUploadResponse>, Status> { Err(Status::unimplemented("")) }
    async fn create_upload_grant(&self, r: Request<v1::CreateUploadGrantRequest>) -> Result<Response<v1::CreateUploadGrantResponse>, Status> { Err(Status::unimplemented("")) }
}
fn rand_id() -> String { format!("{}", std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()) }
#[tokio::main]
async fn main() {
    let a: Vec<String> = std::env::args().collect();
    match a[1].as_str() {
        "real" | "bare" => {
            let dir = std::path::PathBuf::from(&a[2]);
            let l = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            println!("http://{}", l.local_addr().unwrap());
            let g = GrpcServer::new(l);
            let g = if a[1] == "bare" { g.add_service(UploadServiceServer::new(Bare(dir)).max_decoding_message_size(4<<20)) } else {
                let c = reelway_catalog::Catalog::open(&format!("sqlite://{}/c.db", dir.display())).await.unwrap(); c.migrate().await.unwrap();
                let s = reelway_upload::UploadServer::new(c, reelway_blob::DiskStore::open(dir.join("b")).unwrap(), Default::default(), Default::default(), Default::default());
                g.add_service(s.into_service()) };
            g.serve(std::future::pending(), std::time::Duration::from_secs(1)).await.unwrap();
        }
        _ => {
            let (mib, kib, par): (usize, usize, usize) = (a[3].parse().unwrap(), a[4].parse().unwrap(), a[5].parse().unwrap());
            let data = Bytes::from(vec![7u8; kib << 10]); let n = (mib << 20) / (kib << 10);
            let t = Instant::now();
            let mut js = tokio::task::JoinSet::new();
            for _ in 0..par { let data = data.clone(); let addr = a[2].clone(); js.spawn(async move {
                let mut c = UploadServiceClient::new(Channel::from_shared(addr).unwrap().connect().await.unwrap());
                let u = c.create_upload(v1::CreateUploadRequest{ size_bytes: Some((mib << 20) as i64), preset: "none".into(), ..Default::default()}).await.unwrap().into_inner().upload.unwrap();
                let it = (0..n).map(move |i| v1::WriteUploadRequest{ chunk: Some(v1::UploadChunk{ upload_id: if i==0 {u.id.clone()} else {String::new()}, offset: (i * data.len()) as i64, data: data.clone(), ..Default::default()})});
                let r = c.write_upload(tokio_stream::iter(it)).await.unwrap().into_inner(); assert_eq!(r.durable_offset, (mib<<20) as i64);
            }); }
            while let Some(r) = js.join_next().await { r.unwrap(); }
            println!("{:.0} MiB/s", (mib * par) as f64 / t.elapsed().as_secs_f64());
        }
    }
}
