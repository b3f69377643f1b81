//! What the comments of the contract say.

use prost_reflect::FileDescriptor;

/// The comment in front of what is at this path of its file; empty if there is none. Lines are joined, paragraphs stay.
pub(super) fn of(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let location = info.and_then(|info| info.location.iter().find(|location| location.path == path));
    let comment = location.map_or("", |location| location.leading_comments());
    let paragraphs = comment.split("\n\n").map(|paragraph| {
        let lines: Vec<_> = paragraph
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        lines.join(" ")
    });
    paragraphs
        .filter(|paragraph| !paragraph.is_empty())
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// The first sentence of a text.
pub(super) fn first_sentence(text: &str) -> &str {
    let ends = [". ", ".\n"].into_iter().filter_map(|end| text.find(end));
    let end = ends.min().unwrap_or(text.len());
    text[..end].trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::{super::super::contract, *};

    #[test]
    fn comments_of_the_contract_are_at_hand() {
        let upload = contract::message("Upload").unwrap();
        assert_eq!(of(&upload.parent_file(), upload.path()), "A file on its way in, or in.");
        let service = contract::service("UploadService").unwrap();
        let text = of(&service.parent_file(), service.path());
        assert!(
            text.starts_with("Takes in files of any size.\n\nAn upload is created, written from"),
            "{text}"
        );
        assert_eq!(first_sentence(&text), "Takes in files of any size");
        let all =
            ["Upload", "Job", "Task", "Progress", "CreateUploadRequest"].map(|name| contract::message(name).unwrap());
        for field in all.iter().flat_map(prost_reflect::MessageDescriptor::fields) {
            assert!(
                !of(&field.parent_message().parent_file(), field.path()).is_empty(),
                "{}",
                field.full_name()
            );
        }
    }
}
