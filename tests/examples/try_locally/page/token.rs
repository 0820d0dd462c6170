//! The token in the printed address: who knows it may command the service.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use uuid::Uuid;

/// A token that nobody can guess.
pub fn new() -> String {
    Uuid::new_v4().simple().to_string()
}

/// The token that is kept in this folder, so that an open page still knows the service after it was
/// started anew. Made if there is none.
///
/// # Errors
/// If the file can't be read or written.
pub fn kept_in(folder: &Path) -> io::Result<String> {
    let file = folder.join("page-token");
    match fs::read(&file).map(String::from_utf8) {
        Ok(Ok(token)) if token.len() == new().len() => return Ok(token),
        Ok(_) => fs::remove_file(&file)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let token = new();
    options.open(&file)?.write_all(token.as_bytes())?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_kept_by_its_folder_and_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let token = kept_in(folder.path()).unwrap();
        assert_eq!(kept_in(folder.path()).unwrap(), token);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(kept_in(other.path()).unwrap(), token);
        fs::write(other.path().join("page-token"), [0xff; 32]).unwrap();
        assert_eq!(kept_in(other.path()).unwrap().len(), token.len());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let file = fs::metadata(folder.path().join("page-token")).unwrap();
            assert_eq!(file.permissions().mode() & 0o077, 0);
        }
    }
}
