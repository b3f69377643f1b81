//! What is kept about an upload that is under way, so that the same command run again goes on with it.

use std::{
    env, fs, io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::digest;
use crate::json;

/// The file to upload, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// Its absolute path.
    pub(crate) path: PathBuf,
    /// Its length, in bytes.
    pub(crate) size_bytes: u64,
    modified_ns: i128,
}

impl Source {
    /// Looks at the file.
    pub(crate) fn find(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        let metadata = fs::metadata(&path)?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let modified_ns = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        Ok(Self {
            path,
            size_bytes: metadata.len(),
            modified_ns,
        })
    }

    /// The file's own name.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// One upload that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ticket {
    /// Written before the upload is created: whoever is killed in between finds the same upload again.
    pub(crate) request_id: String,
    /// The upload, once it is known.
    pub(crate) upload_id: Option<String>,
    /// The file, for people who look into this one.
    file: String,
}

impl Ticket {
    /// A ticket for an upload that doesn't exist yet.
    pub(crate) fn new(source: &Source) -> Self {
        let file = source.path.to_string_lossy().into_owned();
        Self {
            request_id: Uuid::now_v7().to_string(),
            upload_id: None,
            file,
        }
    }

    /// The same, for an upload that is known.
    pub(crate) fn for_upload(self, upload_id: &str) -> Self {
        Self {
            upload_id: Some(upload_id.to_owned()),
            ..self
        }
    }
}

/// The directory of tickets; nowhere, if the user has none.
#[derive(Debug, Clone)]
pub(crate) struct Tickets {
    dir: Option<PathBuf>,
}

impl Tickets {
    /// The user's own, by the XDG base directory specification: below `$XDG_STATE_HOME` or `~/.local/state`.
    pub(crate) fn of_user() -> Self {
        let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
        Self {
            dir: state.map(|state| state.join("reelway/uploads")),
        }
    }

    /// The place of the ticket for this file, this server and this preset. A file that changed has another one.
    pub(crate) fn place(&self, source: &Source, server: &str, preset: &str) -> Place {
        let (size, modified) = (source.size_bytes.to_le_bytes(), source.modified_ns.to_le_bytes());
        let parts = [
            server.as_bytes(),
            source.path.as_os_str().as_bytes(),
            &size,
            &modified,
            preset.as_bytes(),
        ];
        let name = format!("{}.json", json::hex(&digest::of_parts(&parts)));
        Place {
            path: self.dir.as_ref().map(|dir| dir.join(name)),
        }
    }
}

/// Where one ticket is, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    path: Option<PathBuf>,
}

impl Place {
    /// The ticket, if there is one that can be read. One that can't is of no more use than none.
    pub(crate) fn load(&self) -> Option<Ticket> {
        serde_json::from_slice(&fs::read(self.path.as_ref()?).ok()?).ok()
    }

    /// Keeps the ticket: the old one or the new one is there at any moment.
    pub(crate) fn save(&self, ticket: &Ticket) -> io::Result<()> {
        let path = self
            .path
            .as_ref()
            .ok_or_else(|| io::Error::other("neither XDG_STATE_HOME nor HOME is set"))?;
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let fresh = path.with_extension(format!("{}.tmp", std::process::id()));
        fs::write(&fresh, serde_json::to_vec(ticket)?)?;
        fs::rename(&fresh, path)
    }

    /// Forgets the ticket.
    pub(crate) fn remove(&self) {
        if let Some(path) = &self.path {
            // It may never have been there; and one that stays leads to a complete upload, which is asked for first.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn fixture() -> (tempfile::TempDir, Tickets, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let (tickets, file) = (
            Tickets {
                dir: Some(dir.path().join("state")),
            },
            dir.path().join("clip.mp4"),
        );
        fs::write(&file, "abc").expect("a file");
        (dir, tickets, file)
    }

    #[test]
    fn a_ticket_is_found_again_until_it_is_removed() {
        let (_dir, tickets, file) = fixture();
        let source = Source::find(&file).expect("the file");
        let place = tickets.place(&source, "http://a", "fast");
        assert_eq!(place.load(), None);
        let mut ticket = Ticket::new(&source);
        place.save(&ticket).expect("it is kept");
        ticket.upload_id = Some("upl_1".to_owned());
        place.save(&ticket).expect("it is replaced");
        let again = tickets.place(&Source::find(&file).expect("the file"), "http://a", "fast");
        assert_eq!(again.load(), Some(ticket));
        again.remove();
        assert_eq!(place.load(), None);
    }

    #[test]
    fn another_server_preset_or_content_has_another_ticket() {
        let (_dir, tickets, file) = fixture();
        let source = Source::find(&file).expect("the file");
        let place = tickets.place(&source, "http://a", "fast");
        assert_ne!(place, tickets.place(&source, "http://b", "fast"));
        assert_ne!(place, tickets.place(&source, "http://a", "none"));
        let modified =
            fs::metadata(&file).and_then(|m| m.modified()).expect("a time") - std::time::Duration::from_secs(1);
        File::options()
            .write(true)
            .open(&file)
            .and_then(|f| f.set_modified(modified))
            .expect("another time");
        let touched = Source::find(&file).expect("the file");
        assert_ne!(place, tickets.place(&touched, "http://a", "fast"));
    }

    #[test]
    fn what_is_not_a_ticket_is_none() {
        let (_dir, tickets, file) = fixture();
        let place = tickets.place(&Source::find(&file).expect("the file"), "http://a", "fast");
        place
            .save(&Ticket::new(&Source::find(&file).expect("the file")))
            .expect("it is kept");
        fs::write(place.path.as_ref().expect("a path"), "{").expect("a torn file");
        assert_eq!(place.load(), None);
        assert!(Source::find(Path::new("/")).is_err(), "a directory is no file");
    }
}
