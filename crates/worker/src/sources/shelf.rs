//! Which blocks are there, who uses them, and which go when there is no room.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use reelway_domain::{Failure, StoreId};
use tokio::{fs, sync::OnceCell};

use super::SourceCache;
use crate::meter;

/// Names a block.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct BlockId {
    pub(super) store: StoreId,
    /// The object's key.
    pub(super) key: String,
    /// Its place among the object's blocks, from 0.
    pub(super) number: u64,
}

/// What is known of a block once it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filled {
    /// How long it is.
    pub(super) bytes: u64,
    /// How long its object is.
    pub(super) size_bytes: u64,
    /// What the store calls the object as it was then.
    pub(super) etag: Option<String>,
}

impl Filled {
    /// Of an object that ends before the block begins.
    pub(super) fn nothing(size_bytes: u64) -> Self {
        Self {
            bytes: 0,
            size_bytes,
            etag: None,
        }
    }
}

#[derive(Debug)]
struct Block {
    id: BlockId,
    path: PathBuf,
    filled: OnceCell<Filled>,
}

/// All blocks.
#[derive(Debug)]
pub(super) struct Shelf {
    dir: PathBuf,
    settings: SourceCache,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    blocks: HashMap<BlockId, Held>,
    /// What all of them take.
    bytes: u64,
    /// Counts uses.
    clock: u64,
    /// Counts blocks: a file has a name that none had before.
    files: u64,
}

#[derive(Debug)]
struct Held {
    block: Arc<Block>,
    /// How many use it.
    pins: usize,
    /// How much it takes; as long as it isn't there, what it may take.
    bytes: u64,
    /// When it was used last.
    used: u64,
}

/// A block in use: it stays until this is dropped.
#[derive(Debug)]
pub(super) struct Pin {
    shelf: Arc<Shelf>,
    block: Arc<Block>,
}

impl Shelf {
    pub(super) fn new(dir: PathBuf, settings: SourceCache) -> Arc<Self> {
        Arc::new(Self {
            dir,
            settings,
            state: Mutex::default(),
        })
    }

    /// Takes a block into use, with room for it if it isn't there.
    pub(super) fn pin(self: &Arc<Self>, id: BlockId) -> Pin {
        let mut state = self.lock();
        state.clock += 1;
        let now = state.clock;
        let block = if let Some(held) = state.blocks.get_mut(&id) {
            held.used = now;
            held.pins += 1;
            Arc::clone(&held.block)
        } else {
            state.make_room(self.settings);
            state.files += 1;
            let block = Arc::new(Block {
                id: id.clone(),
                path: self.dir.join(state.files.to_string()),
                filled: OnceCell::new(),
            });
            state.bytes += self.settings.block_bytes;
            let held = Held {
                block: Arc::clone(&block),
                pins: 1,
                bytes: self.settings.block_bytes,
                used: now,
            };
            state.blocks.insert(id, held);
            block
        };
        state.tell();
        Pin {
            shelf: Arc::clone(self),
            block,
        }
    }

    /// Makes the file of a block, empty.
    pub(super) async fn create(&self, pin: &Pin) -> io::Result<fs::File> {
        fs::create_dir_all(&self.dir).await?;
        fs::File::create(pin.path()).await
    }

    /// Whether what was found of a block is of the same object as the other blocks of this key.
    pub(super) fn is_same_object(&self, id: &BlockId, found: &Filled) -> bool {
        let state = self.lock();
        let others = state
            .blocks
            .iter()
            .filter(|(other, _)| (other.store, &other.key) == (id.store, &id.key));
        let mut known = others.filter_map(|(_, held)| held.block.filled.get());
        known.all(|known| {
            let is_told_apart = known.etag.is_some() && found.etag.is_some() && known.etag != found.etag;
            known.size_bytes == found.size_bytes && !is_told_apart
        })
    }

    /// Removes all blocks that nobody uses.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        while state.evict() {}
        state.tell();
    }

    /// What was counted is how long it is.
    fn measured(&self, block: &Arc<Block>, bytes: u64) {
        let mut state = self.lock();
        let State { blocks, bytes: all, .. } = &mut *state;
        if let Some(held) = blocks.get_mut(&block.id) {
            *all = *all - held.bytes + bytes;
            held.bytes = bytes;
        }
        state.tell();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whatever panics there leaves numbers that are right.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Removes what nobody uses, first what was not used for longest, until one more block fits.
    fn make_room(&mut self, settings: SourceCache) {
        while self.bytes + settings.block_bytes > settings.bytes_max && self.evict() {
            meter::source_block_evicted();
        }
    }

    /// Removes the block that was not used for longest; `false` if all are in use.
    fn evict(&mut self) -> bool {
        let idle = self.blocks.values().filter(|held| held.pins == 0);
        let Some(oldest) = idle.min_by_key(|held| held.used) else {
            return false;
        };
        let id = oldest.block.id.clone();
        self.remove(&id);
        true
    }

    /// Its file goes before anything else may be written, so that there are never more bytes than are allowed.
    fn remove(&mut self, id: &BlockId) {
        let Some(held) = self.blocks.remove(id) else {
            return;
        };
        self.bytes -= held.bytes;
        match std::fs::remove_file(&held.block.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, path = %held.block.path.display(), "could not remove a block of a source");
            }
            _ => {}
        }
    }

    fn tell(&self) {
        meter::source_cache_bytes(self.bytes);
    }
}

impl Pin {
    pub(super) fn id(&self) -> &BlockId {
        &self.block.id
    }

    pub(super) fn path(&self) -> &Path {
        &self.block.path
    }

    /// What the block is, after `fill` has put it there if nobody did. Of several at once, one does.
    pub(super) async fn filled_or(
        &self,
        fill: impl Future<Output = Result<Filled, Failure>>,
    ) -> Result<Filled, Failure> {
        let filled = self.block.filled.get_or_try_init(|| async {
            let filled = fill.await?;
            self.shelf.measured(&self.block, filled.bytes);
            Ok(filled)
        });
        filled.await.cloned()
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.shelf.lock();
        let Some(held) = state.blocks.get_mut(&self.block.id) else {
            return;
        };
        held.pins -= 1;
        // Nobody waits any more for what did not come.
        if held.pins == 0 && !held.block.filled.initialized() {
            state.remove(&self.block.id);
            state.tell();
        }
    }
}
