//! Uploads out of a store.

use std::fmt::Write as _;

use aecp_contract::{digest::Digest, legislation::UploadRef};

use crate::{
    publish::{PublishError, Store},
    source::{MAX_BYTES, MAX_FILE_BYTES},
    upload::{
        Code, Files, Form, Key, MAX_ARCHIVE_BYTES, MAX_ENTRIES, Refused, Request, Upload, matters,
        tar_gz, zip,
    },
};

/// An upload as it is now.
pub(super) struct Found {
    pub(super) reference: UploadRef,
    pub(super) upload: Result<Upload, Refused>,
}

/// The most characters of an upload's own name in the name of its report.
const MAX_NAME: usize = 100;

/// The upload at `key`; `None` if it is not there (any more).
pub(super) async fn read(store: &Store, key: &Key) -> Result<Option<Found>, PublishError> {
    if key.form == Form::Folder {
        return read_folder(store, key).await;
    }
    let limit = if key.form == Form::File { MAX_FILE_BYTES } else { MAX_ARCHIVE_BYTES };
    let Some(object) = store.uploaded(&key.object(), limit).await? else { return Ok(None) };
    let digest = Digest::of(object.bytes.as_deref().unwrap_or_default());
    let reference = UploadRef { key: key.object(), digest, uploaded: object.uploaded };
    let upload = match (&object.bytes, key.form) {
        (None, _) => Err(too_large(format!("it is larger than {limit} bytes; make several sets"))),
        (Some(bytes), Form::TarGz) => tar_gz(bytes).and_then(Upload::of_files),
        (Some(bytes), Form::Zip) => zip(bytes).and_then(Upload::of_files),
        (Some(bytes), _) => Request::of_metadata(&object.metadata)
            .and_then(|request| Upload::of_file(&key.name, bytes.to_vec(), request)),
    };
    Ok(Some(Found { reference, upload }))
}

/// A folder, whose digest is over one line per file, `<sha256>  <path>\n`, and whose time is that of its newest file.
async fn read_folder(store: &Store, key: &Key) -> Result<Option<Found>, PublishError> {
    let folder = key.object();
    let paths = store.below(&folder, MAX_ENTRIES).await?;
    let (mut files, mut lines, mut newest, mut total) = (Files::new(), String::new(), None, 0);
    let mut refused = None;
    if paths.len() > MAX_ENTRIES {
        let detail = format!("the folder holds more than {MAX_ENTRIES} files; make several sets");
        refused = Some(Refused { code: Code::TooManyFiles, detail });
    }
    for path in paths.iter().take(MAX_ENTRIES).filter(|path| matters(path)) {
        // What goes away while it is read starts an event of its own, or none.
        let Some(object) = store.uploaded(&format!("{folder}/{path}"), MAX_FILE_BYTES).await? else {
            continue;
        };
        newest = newest.max(Some(object.uploaded));
        let bytes = object.bytes.unwrap_or_default();
        total += bytes.len() as u64;
        if total > MAX_BYTES {
            let detail = format!("the folder holds more than {MAX_BYTES} bytes of policies");
            refused.get_or_insert(too_large(detail));
            break;
        }
        // Writing to a String does not fail.
        let _ = writeln!(lines, "{}  {path}", Digest::of(&bytes));
        files.insert(path.clone(), bytes.to_vec());
    }
    let Some(uploaded) = newest else { return Ok(None) };
    let reference = UploadRef { key: folder, digest: Digest::of(lines.as_bytes()), uploaded };
    let upload = match refused {
        Some(refused) => Err(refused),
        None => Upload::of_files(files),
    };
    Ok(Some(Found { reference, upload }))
}

fn too_large(detail: String) -> Refused {
    Refused { code: Code::TooLarge, detail }
}

/// What the report of an upload is called: as the upload, and by what was uploaded, so that nothing else has that name.
pub(super) fn report_name(key: &Key, found: &Found) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = key.name.chars().take(MAX_NAME).map(plain).collect();
    // Two names that look the same here are told apart by the digest of the whole key.
    let content = format!("{}\n{}", key.object(), found.reference.digest);
    let digest = Digest::of(content.as_bytes()).to_string();
    format!("{name}.{}", digest.get(..16).unwrap_or(&digest))
}
