//! The termination message: a file that the kubelet mounts into the container and reads at the
//! end. It can't be replaced by renaming, only be written in place.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

/// The file.
#[derive(Debug)]
pub struct TerminationMessage {
    file: File,
    length: usize,
}

impl TerminationMessage {
    /// Opens the file, and makes it if need be.
    ///
    /// # Errors
    /// It can't be written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        Ok(Self { file, length: 0 })
    }

    /// Writes the message whole, in one call, over the one before. A shorter one is filled up
    /// with spaces, which JSON ignores: were the file cut first, a process that is killed right
    /// then would leave nothing.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write(&mut self, message: &str) -> io::Result<()> {
        self.length = self.length.max(message.len());
        let mut padded = message.as_bytes().to_vec();
        padded.resize(self.length, b' ');
        self.file.write_all_at(&padded, 0)
    }

    /// Writes the last message, without spaces behind it.
    ///
    /// # Errors
    /// It can't be written.
    pub fn finish(&mut self, message: &str) -> io::Result<()> {
        self.write(message)?;
        self.file.set_len(u64::try_from(message.len()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::MetadataExt};

    #[test]
    fn it_is_rewritten_in_place_and_always_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("termination-log");
        fs::write(&path, "left over from before, and longer than what follows").unwrap();
        let inode = fs::metadata(&path).unwrap().ino();

        let mut message = TerminationMessage::open(&path).unwrap();
        let read = || fs::read_to_string(&path).unwrap();
        message.write("{\"a\":\"äöü\"}").unwrap();
        assert_eq!(read(), "{\"a\":\"äöü\"}");
        message.write("{}").unwrap();
        assert_eq!(read().trim_end(), "{}");
        serde_json::from_str::<serde_json::Value>(&read()).unwrap();
        message.finish("{\"b\":1}").unwrap();
        assert_eq!(read(), "{\"b\":1}");
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    }
}
