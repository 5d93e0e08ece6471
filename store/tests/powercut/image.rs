//! What a disk may hold after a power cut: everything that was synced, and a random part of the rest.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::RngExt;
use rand::rngs::StdRng;

use crate::recording::{Operation, Recording};

const PAGE_BYTES: usize = 4096;

/// The files below a directory, as they are and as they may survive.
#[derive(Default, Clone)]
pub(crate) struct DiskImage {
    files: Vec<File>,
    directories: BTreeMap<PathBuf, Directory>,
    descriptors: HashMap<i32, Target>,
    syncs: HashMap<u64, (Target, usize)>,
}

#[derive(Debug, Clone)]
enum Target {
    File(usize),
    Directory(PathBuf),
}

#[derive(Default, Clone)]
struct File {
    durable_content: Arc<Vec<u8>>,
    changes: Vec<Change>,
    /// How many of the changes were synced.
    durable: usize,
}

#[derive(Clone)]
enum Change {
    Write { offset: usize, payload: Range<usize> },
    Truncate(usize),
}

/// Names only; the directory itself is there if its parent has its name.
#[derive(Default, Clone)]
struct Directory {
    durable_names: BTreeMap<PathBuf, DirectoryEntry>,
    names: BTreeMap<PathBuf, DirectoryEntry>,
    changes: Vec<NameChange>,
    durable: usize,
}

#[derive(Debug, Clone, Copy)]
enum DirectoryEntry {
    File(usize),
    Directory,
}

#[derive(Clone)]
enum NameChange {
    Add(PathBuf, DirectoryEntry),
    Remove(PathBuf),
    /// Atomic, as file systems promise.
    Rename(PathBuf, PathBuf, DirectoryEntry),
}

impl DiskImage {
    /// Returns the files below `root`, all of them durable.
    pub(crate) fn read(root: &Path) -> Self {
        let mut disk = Self::default();
        disk.add_directory(root);
        disk
    }

    fn add_directory(&mut self, path: &Path) {
        let mut directory = Directory::default();
        for entry in fs::read_dir(path).expect("a folder") {
            let path = entry.expect("an entry").path();
            let entry = if path.is_dir() {
                self.add_directory(&path);
                DirectoryEntry::Directory
            } else {
                let durable_content = Arc::new(fs::read(&path).expect("a file"));
                self.files.push(File { durable_content, ..File::default() });
                DirectoryEntry::File(self.files.len() - 1)
            };
            directory.names.insert(path, entry);
        }
        directory.durable_names = directory.names.clone();
        self.directories.insert(path.to_owned(), directory);
    }

    /// Takes an operation into account.
    pub(crate) fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Opened { descriptor, path, create, truncate } => {
                let target = if self.directories.contains_key(path) {
                    Target::Directory(path.clone())
                } else {
                    let file = self.file(path, *create);
                    if *truncate {
                        self.files[file].changes.push(Change::Truncate(0));
                    }
                    Target::File(file)
                };
                self.descriptors.insert(*descriptor, target);
            }
            Operation::Closed { descriptor } => {
                self.descriptors.remove(descriptor);
            }
            Operation::Wrote { descriptor, offset, payload } => {
                let change = Change::Write { offset: *offset, payload: payload.clone() };
                self.open_file(*descriptor).changes.push(change);
            }
            Operation::Truncated { descriptor, length } => {
                self.open_file(*descriptor).changes.push(Change::Truncate(*length));
            }
            Operation::SyncBegins { descriptor, id } => {
                let target = self.descriptors[descriptor].clone();
                let covered = match &target {
                    Target::File(file) => self.files[*file].changes.len(),
                    Target::Directory(path) => self.directories[path].changes.len(),
                };
                self.syncs.insert(*id, (target, covered));
            }
            Operation::SyncEnds { id } => {
                let (target, covered) = self.syncs.remove(id).expect("the sync began");
                let durable = match &target {
                    Target::File(file) => &mut self.files[*file].durable,
                    Target::Directory(path) => &mut self.directory(path).durable,
                };
                *durable = (*durable).max(covered);
            }
            Operation::Renamed { from, to } => {
                let parent = parent(from);
                assert_eq!(parent, self::parent(to), "only renames within a directory are played");
                let directory = self.directory(parent);
                let entry = directory.names.remove(from).expect("the name is there");
                directory.names.insert(to.clone(), entry);
                directory.changes.push(NameChange::Rename(from.clone(), to.clone(), entry));
            }
            Operation::Unlinked { path } => {
                let directory = self.directory(parent(path));
                directory.names.remove(path);
                directory.changes.push(NameChange::Remove(path.clone()));
            }
            Operation::MadeDirectory { path } => {
                self.directories.insert(path.clone(), Directory::default());
                let directory = self.directory(parent(path));
                directory.names.insert(path.clone(), DirectoryEntry::Directory);
                directory.changes.push(NameChange::Add(path.clone(), DirectoryEntry::Directory));
            }
        }
    }

    /// Takes into account that the process was killed: nothing is open any more, and nothing that it wrote is lost before the
    /// power fails.
    pub(crate) fn kill(&mut self) {
        self.descriptors.clear();
        self.syncs.clear();
    }

    /// Returns the path of the file of a descriptor, if it is open.
    pub(crate) fn path_of(&self, descriptor: i32) -> Option<&Path> {
        let Target::File(file) = self.descriptors.get(&descriptor)? else { return None };
        let mut names = self.directories.values().flat_map(|directory| &directory.names);
        names
            .find(|(_, entry)| matches!(entry, DirectoryEntry::File(found) if found == file))
            .map(|(path, _)| path.as_path())
    }

    /// Writes to `to` what may be left of the directory `from` after a power cut.
    pub(crate) fn cut(&self, from: &Path, to: &Path, recording: &Recording, survival: &mut Survival<'_>) {
        fs::create_dir_all(to).expect("a folder");
        let directory = &self.directories[from];
        let mut names = directory.durable_names.clone();
        let kept = survival(directory.durable, directory.changes.len());
        for change in &directory.changes[..kept] {
            match change.clone() {
                NameChange::Add(path, entry) => drop(names.insert(path, entry)),
                NameChange::Remove(path) => drop(names.remove(&path)),
                NameChange::Rename(from, to, entry) => {
                    names.remove(&from);
                    names.insert(to, entry);
                }
            }
        }
        for (path, entry) in names {
            let to = to.join(path.file_name().expect("a name"));
            match entry {
                DirectoryEntry::Directory => self.cut(&path, &to, recording, survival),
                DirectoryEntry::File(file) => {
                    fs::write(to, self.files[file].cut(recording, survival)).expect("written")
                }
            }
        }
    }

    fn file(&mut self, path: &Path, create: bool) -> usize {
        let next = self.files.len();
        let directory = self.directory(parent(path));
        match directory.names.get(path) {
            Some(DirectoryEntry::File(file)) => *file,
            Some(DirectoryEntry::Directory) => panic!("{} is a folder", path.display()),
            None => {
                assert!(create, "{} was opened and never made", path.display());
                directory.names.insert(path.to_owned(), DirectoryEntry::File(next));
                directory.changes.push(NameChange::Add(path.to_owned(), DirectoryEntry::File(next)));
                self.files.push(File::default());
                next
            }
        }
    }

    fn open_file(&mut self, descriptor: i32) -> &mut File {
        match self.descriptors.get(&descriptor) {
            Some(Target::File(file)) => &mut self.files[*file],
            other => panic!("descriptor {descriptor} is {other:?}"),
        }
    }

    fn directory(&mut self, path: &Path) -> &mut Directory {
        self.directories.get_mut(path).unwrap_or_else(|| panic!("{} is a folder", path.display()))
    }
}

impl File {
    fn cut(&self, recording: &Recording, survival: &mut Survival<'_>) -> Vec<u8> {
        let mut content = self.durable_content.to_vec();
        let mut survivors: HashMap<usize, usize> = HashMap::new();
        for (number, change) in self.changes.iter().enumerate() {
            let durable = number < self.durable;
            match change {
                Change::Truncate(length) if durable || survival(0, 1) == 1 => content.resize(*length, 0),
                Change::Truncate(_) => {}
                Change::Write { offset, payload } => {
                    let bytes = &recording.bytes[payload.clone()];
                    let mut at = 0;
                    while at < bytes.len() {
                        let page = (offset + at) / PAGE_BYTES;
                        let end = bytes.len().min((page + 1) * PAGE_BYTES - offset);
                        // The kernel writes a page back as a whole at some moment; its later changes are lost.
                        let mut survivors_of_page =
                            || *survivors.entry(page).or_insert_with(|| survival(self.durable, self.changes.len()));
                        if durable || number < survivors_of_page() {
                            if content.len() < offset + end {
                                content.resize(offset + end, 0);
                            }
                            content[offset + at..offset + end].copy_from_slice(&bytes[at..end]);
                        }
                        at = end;
                    }
                }
            }
        }
        content
    }
}

/// A function that chooses how many changes survive, given how many are durable and how many there are.
pub(crate) type Survival<'a> = dyn FnMut(usize, usize) -> usize + 'a;

/// Chooses how many changes survive: those that are durable, and none, all or some of the others.
pub(crate) fn random_survival(durable: usize, all: usize, random: &mut StdRng) -> usize {
    match random.random_range(0..3) {
        0 => durable,
        1 => all,
        _ => random.random_range(durable..=all),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().expect("a path below the root")
}
