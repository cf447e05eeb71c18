//! Secrets and ConfigMaps as the kubelet mounts them: a folder each, a file for each key.

use api::settings::{CaKind, TargetSettings};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Values by key.
pub type Keys = BTreeMap<String, String>;

/// Where the folders are.
#[derive(Clone, Debug)]
pub struct Mounts {
    /// Holds a folder for each Secret.
    pub secrets: PathBuf,
    /// Holds a folder for each ConfigMap.
    pub config_maps: PathBuf,
    /// Where tokens of AWS IAM are handed out.
    pub iam_socket: PathBuf,
}

/// What of them a target needs. An object that is not there has no keys, like an empty one: an
/// optional mount looks the same in both cases.
#[derive(Clone, Default)]
pub struct Mounted {
    /// The Secret with the credentials.
    pub secret: Keys,
    /// The object with the certificate authority, if the target names one.
    pub ca: Keys,
    /// The Secret with the client certificate, if the target names one.
    pub certificate: Keys,
    /// Where tokens of AWS IAM are handed out.
    pub iam_socket: PathBuf,
}

impl Mounts {
    /// Reads what is there now.
    #[must_use]
    pub fn read(&self, target: &TargetSettings) -> Mounted {
        let ca = target.ca.as_ref().map(|source| match source.kind {
            CaKind::ConfigMap => self.config_maps.join(&source.name),
            CaKind::Secret => self.secrets.join(&source.name),
        });
        let certificate = target.certificate_secret.as_ref().map(|name| self.secrets.join(name));
        Mounted {
            secret: read_folder(&self.secrets.join(&target.secret_name)),
            certificate: certificate.map(|folder| read_folder(&folder)).unwrap_or_default(),
            ca: ca.map(|folder| read_folder(&folder)).unwrap_or_default(),
            iam_socket: self.iam_socket.clone(),
        }
    }

    /// A ConfigMap.
    #[must_use]
    pub fn config_map(&self, name: &str) -> Keys {
        read_folder(&self.config_maps.join(name))
    }
}

/// The files of a folder. Files that are no text hold nothing for us, such as Java key stores;
/// names that start with a dot are the kubelet's own (`..data`).
fn read_folder(folder: &Path) -> Keys {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let key = entry.file_name().into_string().ok()?;
            let value = fs::read_to_string(entry.path()).ok()?;
            (!key.starts_with('.')).then_some((key, value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_mount_of_the_kubelet_is_read_through_its_links() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("pulp-db");
        let version = folder.join("..2026_03_01");
        fs::create_dir_all(&version).unwrap();
        fs::write(version.join("password"), "x\n").unwrap();
        fs::write(version.join("keystore.jks"), [0xfe, 0xed, 0xff]).unwrap();
        symlink("..2026_03_01", folder.join("..data")).unwrap();
        symlink("..data/password", folder.join("password")).unwrap();
        symlink("..data/keystore.jks", folder.join("keystore.jks")).unwrap();

        let keys = read_folder(&folder);
        assert_eq!(keys, Keys::from([("password".into(), "x\n".into())]));
        assert_eq!(read_folder(&root.path().join("absent")), Keys::new());
    }
}
