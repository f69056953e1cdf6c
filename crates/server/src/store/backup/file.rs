//! The file of a backup: two lines, their sum, and a body.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256, digest};

use super::{BackupError, Header, refuse_newer};

/// The version of the file's form.
pub(super) const FORMAT: u32 = 1;
const NAME: &str = "grantor backup ";
/// No header is longer, in bytes.
const MAX_HEADER_BYTES: u64 = 64 * 1024;

/// Where the body of a backup stands while it is made.
pub fn unfinished(file: &Path) -> PathBuf {
    beside(file, "body")
}

/// Writes a backup: whole, and under a name that was free.
pub(super) fn write(file: &Path, header: &Header, body: &mut File) -> Result<(), BackupError> {
    #[expect(clippy::expect_used, reason = "names and numbers are always JSON")]
    let header = serde_json::to_string(header).expect("JSON");
    let head = format!("{NAME}{FORMAT}\n{header}\n");
    let new = beside(file, "new");
    let mut write = || -> std::io::Result<()> {
        let mut to = create(&new)?;
        to.write_all(head.as_bytes())?;
        to.write_all(format!("{}\n", hex(digest(&SHA256, head.as_bytes()).as_ref())).as_bytes())?;
        std::io::copy(body, &mut to)?;
        to.sync_all()?;
        // A link is never put over a file that is there, as a rename would be.
        fs::hard_link(&new, file)?;
        sync_folder(file)
    };
    let written = write();
    let _ = fs::remove_file(&new);
    written.map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => BackupError::Exists { path: file.to_owned() },
        _ => BackupError::Io { path: file.to_owned(), source },
    })
}

/// What a backup says of itself; of its body nothing is known then.
pub(super) fn header(file: &Path) -> Result<Header, BackupError> {
    open(file).map(|(header, _)| header)
}

/// Checks a backup as a whole, while its body goes to `to`.
pub(super) fn check(file: &Path, to: &mut impl Write) -> Result<Header, BackupError> {
    let (header, mut body) = open(file)?;
    let sum = copy(&mut body, to).map_err(io(file))?;
    compare(file, &header, &sum)?;
    Ok(header)
}

/// Holds a body that was read to its header.
pub(super) fn compare(
    file: &Path,
    header: &Header,
    (bytes, sha256): &(u64, String),
) -> Result<(), BackupError> {
    if *bytes != header.body_bytes {
        let wanted = header.body_bytes;
        let what = format!("its body has {bytes} bytes, and should have {wanted}");
        return Err(damaged(file, what));
    }
    if *sha256 != header.body_sha256 {
        return Err(damaged(file, "its body was changed (its SHA-256 is another)"));
    }
    Ok(())
}

/// Opens a backup and reads its header; its body follows.
pub(super) fn open(file: &Path) -> Result<(Header, BufReader<File>), BackupError> {
    let mut reader = BufReader::new(File::open(file).map_err(io(file))?);
    let mut line = || -> Result<Vec<u8>, BackupError> {
        let mut line = Vec::new();
        reader.by_ref().take(MAX_HEADER_BYTES).read_until(b'\n', &mut line).map_err(io(file))?;
        Ok(line)
    };
    let name = line()?;
    if name != format!("{NAME}{FORMAT}\n").as_bytes() {
        return Err(another(file, &name));
    }
    let (header, sum) = (line()?, line()?);
    let head = [name.as_slice(), &header].concat();
    if sum != format!("{}\n", hex(digest(&SHA256, &head).as_ref())).as_bytes() {
        return Err(damaged(file, "its header was changed or cut off"));
    }
    let header: Header =
        serde_json::from_slice(&header).map_err(|_| damaged(file, "its header cannot be read"))?;
    refuse_newer(|| format!("the backup {}", file.display()), header.schema_version)?;
    Ok((header, reader))
}

/// Somebody else's file is told from ours with its first bytes damaged, and from one of another
/// version.
fn another(file: &Path, first: &[u8]) -> BackupError {
    if first.is_empty() {
        return damaged(file, "it is empty");
    }
    let number = first.strip_prefix(NAME.as_bytes()).and_then(|rest| rest.strip_suffix(b"\n"));
    if let Some(found) = number
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok())
    {
        return BackupError::OtherFormat { path: file.to_owned(), found };
    }
    let ours = format!("{NAME}{FORMAT}\n");
    let same = first.iter().zip(ours.as_bytes()).filter(|(found, wanted)| found == wanted).count();
    if same + 2 >= ours.len() || same == first.len() {
        damaged(file, "its first line was changed or cut off")
    } else {
        BackupError::NoBackup { path: file.to_owned() }
    }
}

/// Copies, and says how many bytes, and their SHA-256.
pub(super) fn copy(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<(u64, String)> {
    let mut from = Summed::new(from);
    std::io::copy(&mut from, to)?;
    Ok(from.sum())
}

/// A reader that sums up what is read through it.
pub(super) struct Summed<R> {
    from: R,
    sum: Context,
    bytes: u64,
}

impl<R: Read> Summed<R> {
    pub(super) fn new(from: R) -> Summed<R> {
        Summed { from, sum: Context::new(&SHA256), bytes: 0 }
    }

    /// How many bytes there were, and their SHA-256.
    pub(super) fn sum(self) -> (u64, String) {
        (self.bytes, hex(self.sum.finish().as_ref()))
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.sum.update(buffer.get(..read).unwrap_or_default());
        self.bytes += u64::try_from(read).unwrap_or(0);
        Ok(read)
    }
}

/// `name` becomes `.name.what`, in the same folder.
pub(super) fn beside(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{what}"))
}

/// Makes a new file that only its owner may read, in the place of one that a crash left.
pub(super) fn create(path: &Path) -> std::io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// A name lasts once its folder is on the disk.
pub(super) fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> BackupError + use<> {
    let path = path.to_owned();
    |source| BackupError::Io { path, source }
}

pub(super) fn damaged(path: &Path, what: impl Into<String>) -> BackupError {
    BackupError::Damaged { path: path.to_owned(), what: what.into() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
