//! Names of a simulated file system: directories as processes see them, and as they would be after a power cut.
//!
//! Creations, renames and removals are journal entries. [`DirectoryModel`] says which of them survive.
//!
//! Invariants:
//! - A rename is atomic: no crash shows both names or none, if the old one was durable.
//! - An inode lives while a name (live or durable), a journal entry or an open handle refers to it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};

use super::clock::Clockwork;
use super::content::Content;

/// Names an inode; never used again.
pub(super) type InodeId = u64;

const ROOT: InodeId = 1;

/// Which creations, renames and removals survive a power cut when their directory was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DirectoryModel {
    /// As ext4 and XFS: one journal for the file system, so a prefix of all changes survives, and the sync of a fresh or
    /// resized file also commits everything up to its creation or resize. A file's fdatasync after a rename does not
    /// commit the rename.
    Journaled,
    /// As POSIX promises: any subset survives, except what a sync of its own directory covered. Stricter than any file
    /// system we know, so code that passes here relies on nothing it was not given.
    #[default]
    Strict,
}

#[derive(Debug, Clone)]
enum Change {
    Link { dir: InodeId, name: String, inode: InodeId },
    Unlink { dir: InodeId, name: String },
    Rename { from: (InodeId, String), to: (InodeId, String), inode: InodeId },
}

/// One file or directory.
#[derive(Debug)]
pub(super) enum Node {
    File { content: Content, committed_by: u64 },
    Dir { live: BTreeMap<String, InodeId>, durable: BTreeMap<String, InodeId> },
}

/// The whole tree, with its journal.
#[derive(Debug)]
pub(super) struct Tree {
    model: DirectoryModel,
    nodes: BTreeMap<InodeId, Node>,
    next_inode: InodeId,
    journal: Vec<(u64, Change)>,
    next_sequence: u64,
}

fn error(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

fn new_dir() -> Node {
    Node::Dir { live: BTreeMap::new(), durable: BTreeMap::new() }
}

/// The parts of a path; the simulated working directory is the root.
fn parts_of(path: &Path) -> io::Result<Vec<&str>> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => parts.push(name.to_str().ok_or_else(|| error(libc::EINVAL))?),
            Component::ParentDir | Component::Prefix(_) => return Err(error(libc::EINVAL)),
        }
    }
    Ok(parts)
}

impl Tree {
    pub(super) fn new(model: DirectoryModel) -> Self {
        Self {
            model,
            nodes: BTreeMap::from([(ROOT, new_dir())]),
            next_inode: ROOT + 1,
            journal: Vec::new(),
            next_sequence: 0,
        }
    }

    fn live_entries(&self, dir: InodeId) -> io::Result<&BTreeMap<String, InodeId>> {
        match self.nodes.get(&dir) {
            Some(Node::Dir { live, .. }) => Ok(live),
            _ => Err(error(libc::ENOTDIR)),
        }
    }

    fn live_entries_mut(&mut self, dir: InodeId) -> io::Result<&mut BTreeMap<String, InodeId>> {
        match self.nodes.get_mut(&dir) {
            Some(Node::Dir { live, .. }) => Ok(live),
            _ => Err(error(libc::ENOTDIR)),
        }
    }

    fn walk(&self, parts: &[&str]) -> io::Result<InodeId> {
        parts
            .iter()
            .try_fold(ROOT, |dir, &name| self.live_entries(dir)?.get(name).copied().ok_or_else(|| error(libc::ENOENT)))
    }

    /// The inode of a path.
    pub(super) fn find(&self, path: &Path) -> io::Result<InodeId> {
        self.walk(&parts_of(path)?)
    }

    fn find_parent(&self, path: &Path) -> io::Result<(InodeId, String)> {
        let parts = parts_of(path)?;
        let (name, parents) = parts.split_last().ok_or_else(|| error(libc::EINVAL))?;
        let dir = self.walk(parents)?;
        self.live_entries(dir)?;
        Ok((dir, (*name).to_owned()))
    }

    pub(super) fn is_dir(&self, inode: InodeId) -> bool {
        matches!(self.nodes.get(&inode), Some(Node::Dir { .. }))
    }

    pub(super) fn content(&self, inode: InodeId) -> io::Result<&Content> {
        match self.nodes.get(&inode) {
            Some(Node::File { content, .. }) => Ok(content),
            Some(Node::Dir { .. }) => Err(error(libc::EISDIR)),
            None => Err(error(libc::EBADF)),
        }
    }

    pub(super) fn content_mut(&mut self, inode: InodeId) -> io::Result<&mut Content> {
        match self.nodes.get_mut(&inode) {
            Some(Node::File { content, .. }) => Ok(content),
            Some(Node::Dir { .. }) => Err(error(libc::EISDIR)),
            None => Err(error(libc::EBADF)),
        }
    }

    pub(super) fn contents_mut(&mut self) -> impl Iterator<Item = &mut Content> {
        self.nodes.values_mut().filter_map(|node| match node {
            Node::File { content, .. } => Some(content),
            Node::Dir { .. } => None,
        })
    }

    /// Pages of all files with a name or an open handle. (What a removal frees is free at once; that it is not
    /// overwritten before the removal is durable is the journal's business.)
    pub(super) fn allocated_pages(&self, open: &BTreeSet<InodeId>) -> u64 {
        let mut counted: BTreeSet<InodeId> = open.clone();
        let mut queue = vec![ROOT];
        while let Some(inode) = queue.pop() {
            counted.insert(inode);
            if let Some(Node::Dir { live, .. }) = self.nodes.get(&inode) {
                queue.extend(live.values());
            }
        }
        counted.iter().filter_map(|&inode| self.content(inode).ok()).map(Content::allocated_pages).sum()
    }

    fn log(&mut self, change: Change) {
        self.journal.push((self.next_sequence, change));
        self.next_sequence += 1;
    }

    fn insert(&mut self, dir: InodeId, name: String, node: Node) -> io::Result<InodeId> {
        let inode = self.next_inode;
        self.next_inode += 1;
        self.live_entries_mut(dir)?.insert(name.clone(), inode);
        self.nodes.insert(inode, node);
        self.log(Change::Link { dir, name, inode });
        Ok(inode)
    }

    pub(super) fn create_file(&mut self, path: &Path) -> io::Result<InodeId> {
        let (dir, name) = self.find_parent(path)?;
        let committed_by = self.next_sequence + 1;
        self.insert(dir, name, Node::File { content: Content::default(), committed_by })
    }

    pub(super) fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let mut dir = ROOT;
        for name in parts_of(path)? {
            dir = match self.live_entries(dir)?.get(name) {
                Some(&inode) => inode,
                None => self.insert(dir, name.to_owned(), new_dir())?,
            };
        }
        self.live_entries(dir).map(|_| ())
    }

    /// Names of a directory in order, and whether each is a directory.
    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        let entries = self.live_entries(self.find(path)?)?;
        Ok(entries.iter().map(|(name, &inode)| (name.clone(), self.is_dir(inode))).collect())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (self.find_parent(from)?, self.find_parent(to)?);
        let inode = *self.live_entries(from.0)?.get(&from.1).ok_or_else(|| error(libc::ENOENT))?;
        if let Some(&target) = self.live_entries(to.0)?.get(&to.1) {
            if target == inode {
                return Ok(());
            }
            match (self.is_dir(inode), self.is_dir(target)) {
                (true, false) => return Err(error(libc::ENOTDIR)),
                (false, true) => return Err(error(libc::EISDIR)),
                (true, true) if !self.live_entries(target)?.is_empty() => return Err(error(libc::ENOTEMPTY)),
                _ => {}
            }
        }
        self.live_entries_mut(from.0)?.remove(&from.1);
        self.live_entries_mut(to.0)?.insert(to.1.clone(), inode);
        self.log(Change::Rename { from, to, inode });
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let (dir, name) = self.find_parent(path)?;
        let inode = *self.live_entries(dir)?.get(&name).ok_or_else(|| error(libc::ENOENT))?;
        if self.is_dir(inode) {
            return Err(error(libc::EISDIR));
        }
        self.unlink(dir, name)
    }

    fn unlink(&mut self, dir: InodeId, name: String) -> io::Result<()> {
        self.live_entries_mut(dir)?.remove(&name);
        self.log(Change::Unlink { dir, name });
        Ok(())
    }

    /// Removes bottom-up, each entry a change of its own, so a crash can leave a part.
    pub(super) fn remove_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let (dir, name) = self.find_parent(path)?;
        let inode = *self.live_entries(dir)?.get(&name).ok_or_else(|| error(libc::ENOENT))?;
        for (child, is_dir) in self.list(path)? {
            if is_dir {
                self.remove_dir_all(&path.join(child))?;
            } else {
                self.unlink(inode, child)?;
            }
        }
        self.unlink(dir, name)
    }

    /// The file's length changed: its next sync has metadata to commit.
    pub(super) fn note_resize(&mut self, inode: InodeId) {
        if let Some(Node::File { committed_by, .. }) = self.nodes.get_mut(&inode) {
            *committed_by = self.next_sequence;
        }
    }

    /// What the sync of a file does to names.
    pub(super) fn commit_for_file(&mut self, inode: InodeId) {
        if let (DirectoryModel::Journaled, Some(Node::File { committed_by, .. })) = (self.model, self.nodes.get(&inode))
        {
            let bound = *committed_by;
            self.commit(|sequence, _| sequence < bound);
        }
    }

    /// What the sync of a directory does to names.
    pub(super) fn commit_for_dir(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.find(path)?;
        self.live_entries(inode)?;
        let model = self.model;
        self.commit(|_, change| {
            model == DirectoryModel::Journaled
                || match change {
                    Change::Link { dir, .. } | Change::Unlink { dir, .. } | Change::Rename { to: (dir, _), .. } => {
                        *dir == inode
                    }
                }
        });
        Ok(())
    }

    pub(super) fn commit_all(&mut self) {
        self.commit(|_, _| true);
    }

    fn commit(&mut self, covers: impl Fn(u64, &Change) -> bool) {
        for (sequence, change) in std::mem::take(&mut self.journal) {
            if covers(sequence, &change) {
                if let Change::Rename { from, inode, .. } = &change {
                    self.forget_link(from, *inode);
                }
                self.apply(&change);
            } else {
                self.journal.push((sequence, change));
            }
        }
    }

    /// A rename became durable before the old name did: the old name must not come later.
    fn forget_link(&mut self, from: &(InodeId, String), inode: InodeId) {
        self.journal.retain(|(_, earlier)| match earlier {
            Change::Link { dir, name, inode: linked } => (*dir, name, *linked) != (from.0, &from.1, inode),
            Change::Unlink { .. } | Change::Rename { .. } => true,
        });
    }

    fn durable_entries(&mut self, dir: InodeId) -> Option<&mut BTreeMap<String, InodeId>> {
        match self.nodes.get_mut(&dir) {
            Some(Node::Dir { durable, .. }) => Some(durable),
            _ => None,
        }
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Link { dir, name, inode } => {
                if let Some(entries) = self.durable_entries(*dir) {
                    entries.insert(name.clone(), *inode);
                }
            }
            Change::Unlink { dir, name } => {
                if let Some(entries) = self.durable_entries(*dir) {
                    entries.remove(name);
                }
            }
            Change::Rename { from, to, inode } => {
                if let Some(entries) = self.durable_entries(from.0)
                    && entries.get(&from.1) == Some(inode)
                {
                    entries.remove(&from.1);
                }
                if let Some(entries) = self.durable_entries(to.0) {
                    entries.insert(to.1.clone(), *inode);
                }
            }
        }
    }

    /// The power cut: the surviving changes are applied, names and bytes become what is durable, the rest is gone.
    pub(super) fn cut_power(&mut self, clock: &Clockwork) {
        let journal = std::mem::take(&mut self.journal);
        let count = journal.len() as u64;
        let kept_per_mille = [0, 1_000, 500][usize::try_from(clock.below(3)).unwrap_or(0)];
        let prefix =
            if kept_per_mille == 500 { clock.below(count + 1) } else { count * u64::from(kept_per_mille) / 1_000 };
        for (index, (_, change)) in journal.iter().enumerate() {
            let survives = match self.model {
                DirectoryModel::Journaled => (index as u64) < prefix,
                DirectoryModel::Strict => clock.chance(kept_per_mille),
            };
            if survives {
                self.apply(change);
            }
        }
        for node in self.nodes.values_mut() {
            match node {
                Node::File { content, committed_by } => {
                    content.cut_power(clock);
                    *committed_by = 0;
                }
                Node::Dir { live, durable } => live.clone_from(durable),
            }
        }
        self.collect(&BTreeSet::new());
    }

    /// Frees the inodes that nothing refers to any more.
    pub(super) fn collect(&mut self, open: &BTreeSet<InodeId>) {
        let mut kept = open.clone();
        let mut queue = vec![ROOT];
        for (_, change) in &self.journal {
            match change {
                Change::Link { dir, inode, .. } => queue.extend([*dir, *inode]),
                Change::Unlink { dir, .. } => queue.push(*dir),
                Change::Rename { from, to, inode } => queue.extend([from.0, to.0, *inode]),
            }
        }
        while let Some(inode) = queue.pop() {
            if (kept.insert(inode) || open.contains(&inode))
                && let Some(Node::Dir { live, durable }) = self.nodes.get(&inode)
            {
                queue.extend(live.values().chain(durable.values()).filter(|&child| !kept.contains(child)));
            }
        }
        self.nodes.retain(|inode, _| kept.contains(inode));
    }
}
