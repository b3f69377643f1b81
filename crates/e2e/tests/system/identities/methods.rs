//! Every method of the contract, with a request that names what is asked about.

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MethodDescriptor, ReflectMessage as _, Value};

/// One method.
#[derive(Debug)]
pub(super) struct Method {
    /// `/package.Service/Method`.
    pub(super) path: String,
    descriptor: MethodDescriptor,
}

impl Method {
    /// All that there are.
    pub(super) fn all() -> Vec<Self> {
        let pool = DescriptorPool::decode(reelway::FILE_DESCRIPTOR_SET).expect("the contract");
        let methods = pool
            .services()
            .flat_map(|service| service.methods().collect::<Vec<_>>());
        let method = |descriptor: MethodDescriptor| Self {
            path: format!("/{}/{}", descriptor.parent_service().full_name(), descriptor.name()),
            descriptor,
        };
        methods.map(method).collect()
    }

    /// The one of this name.
    pub(super) fn named(name: &str) -> Self {
        Self::all()
            .into_iter()
            .find(|method| method.is(name))
            .expect("a method")
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.descriptor.name() == name
    }

    /// What a grant is for.
    pub(super) fn is_byte_path(&self) -> bool {
        let byte_path = [
            "GetUpload",
            "WriteUpload",
            "StreamUpload",
            "PutUploadTail",
            "CompleteUpload",
            "CreateUploadParts",
            "ReportUploadParts",
        ];
        byte_path.iter().any(|name| self.is(name))
    }

    /// Whether its request names an upload or a job, and the method is offered.
    pub(super) fn names_something(&self) -> bool {
        let is_a_list = ["ListUploads", "ListJobs"].iter().any(|name| self.is(name));
        !is_a_list && !self.is("PutUploadTail") && self.request("upload", "job") != self.request("", "")
    }

    /// A request that names these, as far as it names anything.
    pub(super) fn request(&self, upload_id: &str, job_id: &str) -> Vec<u8> {
        let mut message = DynamicMessage::new(self.descriptor.input());
        name(&mut message, upload_id, job_id);
        message.encode_to_vec()
    }
}

fn name(message: &mut DynamicMessage, upload_id: &str, job_id: &str) {
    for field in message.descriptor().fields().collect::<Vec<_>>() {
        match (field.name(), field.kind()) {
            ("upload_id", _) => message.set_field(&field, Value::String(upload_id.to_owned())),
            ("job_id", _) => message.set_field(&field, Value::String(job_id.to_owned())),
            ("chunk", Kind::Message(chunk)) => {
                let mut inner = DynamicMessage::new(chunk);
                name(&mut inner, upload_id, job_id);
                message.set_field(&field, Value::Message(inner));
            }
            _ => {}
        }
    }
}
