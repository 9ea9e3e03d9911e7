//! Archives as people make them, and as nobody should.

use std::io::Write as _;

use flate2::{Compression, write::DeflateEncoder, write::GzEncoder};
use proptest::prelude::*;
use rawzip::{CompressionMethod, ZipArchiveWriter, path::EntryPath};
use tar::{EntryType, Header};

use super::*;

const REQUEST: &str = r#"{"channel":"prod","author":"Jane Doe","justification":"CR-1"}"#;

/// A header whose name is written as it is, whatever it says.
fn header(kind: EntryType, name: &[u8], size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_mode(0o644);
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
    header
}

fn tar_of(entries: &[(EntryType, &[u8], &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    for (kind, name, bytes) in entries {
        archive.append(&header(*kind, name, bytes.len()), *bytes).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

/// (name, mode, contents), deflated.
fn zip_of(entries: &[(&[u8], u32, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut archive = ZipArchiveWriter::new(&mut out);
    for (name, mode, bytes) in entries {
        let file = archive.new_file(EntryPath::verbatim(*name)).unix_permissions(*mode);
        let (mut entry, config) = file.compression_method(CompressionMethod::DEFLATE).start().unwrap();
        let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::best()));
        writer.write_all(bytes).unwrap();
        let (encoder, descriptor) = writer.finish().unwrap();
        encoder.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    out
}

const FILE: u32 = 0o100_644;

fn both(files: &[(&str, &str)]) -> [Result<Files, Refused>; 2] {
    let in_tar: Vec<_> =
        files.iter().map(|(n, t)| (EntryType::Regular, n.as_bytes(), t.as_bytes())).collect();
    let in_zip: Vec<_> = files.iter().map(|(n, t)| (n.as_bytes(), FILE, t.as_bytes())).collect();
    [tar_gz(&tar_of(&in_tar)), zip(&zip_of(&in_zip))]
}

fn code<T: fmt::Debug>(result: Result<T, Refused>) -> Code {
    result.unwrap_err().code
}

fn upload(files: &[(&str, &str)]) -> Result<Upload, Refused> {
    let owned = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
    Upload::of_files(owned.collect())
}

#[test]
fn both_kinds_of_archive_give_the_set_that_the_folder_is() {
    let files = [
        ("hipaa/aecp.json", REQUEST),
        ("hipaa/b.aecp", "B"),
        ("hipaa/a/c.aecp", "\u{feff}C"),
        ("hipaa/README.md", "no policy"),
        ("hipaa/.git/x.aecp", "hidden"),
        ("__MACOSX/hipaa/._b.aecp", "the Finder's"),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in &files[1..4] {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let on_disk = Sources::read(&folder.path().join("hipaa")).unwrap();
    for read in both(&files) {
        let upload = Upload::of_files(read.unwrap()).unwrap();
        assert_eq!(upload.sources, on_disk);
        assert_eq!(upload.request.channel.to_string(), "prod");
    }
    // As `tar -C hipaa .` packs it, and without a folder.
    let dot = tar_of(&[
        (EntryType::Directory, b"./", b""),
        (EntryType::XGlobalHeader, b"pax_global_header", b"17 comment=abcdef\n"),
        (EntryType::Regular, b"./aecp.json", REQUEST.as_bytes()),
        (EntryType::Directory, b"./a/", b""),
        (EntryType::Regular, b"./a/c.aecp", b"C"),
        (EntryType::Regular, b"./b.aecp", b"B"),
    ]);
    assert_eq!(Upload::of_files(tar_gz(&dot).unwrap()).unwrap().sources, on_disk);
}

#[test]
fn paths_that_lead_elsewhere_are_refused_in_both() {
    for bad in [
        "../a.aecp",
        "a/../../b.aecp",
        "/etc/a.aecp",
        "a//b.aecp",
        "a/./b.aecp",
        "..",
        "a\\b.aecp",
        "C:\\a",
    ] {
        for read in both(&[(bad, "x")]) {
            assert_eq!(code(read), Code::Path, "{bad}");
        }
    }
    // Not only of files that matter.
    for read in both(&[("../README", "x")]) {
        assert_eq!(code(read), Code::Path);
    }
    assert_eq!(code(tar_gz(&tar_of(&[(EntryType::Directory, b"../x/", b"")]))), Code::Path);
    assert_eq!(code(zip(&zip_of(&[(b"a\x01.aecp", FILE, b"x")]))), Code::Path);
}

#[test]
fn links_and_devices_are_refused() {
    for kind in [EntryType::Symlink, EntryType::Link] {
        assert_eq!(code(tar_gz(&tar_of(&[(kind, b"a.aecp", b"")]))), Code::Link);
    }
    for kind in [EntryType::Fifo, EntryType::Char, EntryType::Block, EntryType::new(b'?')] {
        assert_eq!(code(tar_gz(&tar_of(&[(kind, b"a.aecp", b"")]))), Code::NotAFile, "{kind:?}");
    }
    let linked = with_mode(&zip_of(&[(b"a.aecp", FILE, b"/etc/passwd")]), 0o120_777);
    assert_eq!(code(zip(&linked)), Code::Link);
    let pipe = with_mode(&zip_of(&[(b"a.aecp", FILE, b"")]), 0o010_644);
    assert_eq!(code(zip(&pipe)), Code::NotAFile);
}

/// A zip archive of one entry, with another Unix mode in its directory.
fn with_mode(archive: &[u8], mode: u32) -> Vec<u8> {
    let mut archive = archive.to_vec();
    let entry = archive.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    archive[entry + 5] = 3;
    archive[entry + 38..entry + 42].copy_from_slice(&(mode << 16).to_le_bytes());
    archive
}

#[test]
fn one_path_twice_is_refused_also_where_it_does_not_matter() {
    for twice in ["a.aecp", "README", "aecp.json"] {
        for read in both(&[(twice, "1"), (twice, "2")]) {
            assert_eq!(code(read), Code::Duplicate, "{twice}");
        }
    }
    for read in both(&[("a.aecp", "1"), ("./a.aecp", "2")]) {
        assert_eq!(code(read), Code::Duplicate);
    }
}

#[test]
fn names_and_texts_are_utf8() {
    assert_eq!(code(tar_gz(&tar_of(&[(EntryType::Regular, b"\xff.aecp", b"x")]))), Code::NotUtf8);
    assert_eq!(code(zip(&zip_of(&[(b"\xff.aecp", FILE, b"x")]))), Code::NotUtf8);
    let files = Files::from([
        (MANIFEST.to_owned(), REQUEST.as_bytes().to_vec()),
        ("a.aecp".to_owned(), b"ab\xff".to_vec()),
    ]);
    let refused = Upload::of_files(files).unwrap_err();
    assert_eq!(refused.code, Code::NotUtf8);
    assert!(refused.detail.contains("`a.aecp` is not UTF-8: byte 2"), "{refused}");
}

#[test]
fn bombs_do_not_go_off() {
    let zeros = vec![0; 12 << 20];
    assert_eq!(code(tar_gz(&tar_of(&[(EntryType::Regular, b"README", &zeros)]))), Code::Bomb);
    assert_eq!(code(zip(&zip_of(&[(b"a.aecp", FILE, &zeros)]))), Code::Bomb);
    // Many small ones that are large together.
    let names: Vec<String> = (0..12).map(|n| format!("{n}.aecp")).collect();
    let many: Vec<_> = names.iter().map(|n| (n.as_bytes(), FILE, &zeros[..1 << 20])).collect();
    assert_eq!(code(zip(&zip_of(&many))), Code::Bomb);
    // Gzip in which nothing is said of a tar archive, and which does not end.
    let mut gz = GzEncoder::new(Vec::new(), Compression::best());
    gz.write_all(&zeros).unwrap();
    assert_eq!(code(tar_gz(&gz.finish().unwrap())), Code::Bomb);
}

#[test]
fn sizes_and_numbers_are_limited() {
    let large = vec![0; MAX_ARCHIVE_BYTES as usize + 1];
    assert_eq!([code(tar_gz(&large)), code(zip(&large))], [Code::TooLarge; 2]);
    // A text that shrinks, but not so much that it is a bomb.
    let mut noise = 1_u32;
    let mut letter = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"abcdefgh"[(noise >> 29) as usize]
    };
    let part: Vec<u8> = (0..300_000).map(|_| letter()).collect();
    let whole = part.repeat(MAX_FILE_BYTES as usize / part.len() + 1);
    let refused = tar_gz(&tar_of(&[(EntryType::Regular, b"a.aecp", &whole)])).unwrap_err();
    assert!(refused.code == Code::TooLarge && refused.detail.contains("`a.aecp`"), "{refused}");
    let entries: Vec<_> = (0..=MAX_ENTRIES).map(|n| format!("{n}.x")).collect();
    let zipped: Vec<_> = entries.iter().map(|n| (n.as_bytes(), FILE, &b""[..])).collect();
    assert_eq!(code(zip(&zip_of(&zipped))), Code::TooManyFiles);
}

#[test]
fn cut_or_changed_archives_are_none() {
    let text = "MODULE a\n".repeat(40);
    let tar = tar_of(&[(EntryType::Regular, b"a.aecp", text.as_bytes())]);
    let zipped = zip_of(&[(b"a.aecp", FILE, text.as_bytes())]);
    assert_eq!(code(tar_gz(&tar[..tar.len() - 4])), Code::NotAnArchive, "the checksum is cut off");
    assert_eq!(code(zip(&zipped[..zipped.len() - 4])), Code::NotAnArchive);
    assert_eq!(code(tar_gz(&zipped)), Code::NotAnArchive);
    assert_eq!(code(zip(&tar)), Code::NotAnArchive);
    let mut more = zipped.clone();
    let end = more.len() - 22;
    more[end + 8] = 2;
    more[end + 10] = 2;
    assert_eq!(code(zip(&more)), Code::NotAnArchive, "it says two entries and has one");
}

#[test]
fn what_is_asked_for_is_said_once_and_in_its_form() {
    assert_eq!(code(upload(&[("a.aecp", "x")])), Code::NoRequest);
    assert_eq!(code(upload(&[("aecp.json", REQUEST)])), Code::Empty);
    let two = [("a.aecp", "x"), ("aecp.json", REQUEST), ("submission.json", "{}")];
    assert_eq!(code(upload(&two)), Code::BadRequest);
    for bad in [
        "",
        "{}",
        r#"{"channel":"PROD","author":"J","justification":"x"}"#,
        r#"{"channel":"prod","author":" ","justification":"x"}"#,
        r#"{"channel":"prod","author":"J","justification":"x","state":{}}"#,
        r#"{"channel":"prod","author":"J","justification":"x","states":{"p":"off"}}"#,
    ] {
        assert_eq!(code(upload(&[("a.aecp", "x"), ("aecp.json", bad)])), Code::BadRequest, "{bad}");
    }
    assert_eq!(code(upload(&[("a.aecp", "x"), ("submission.json", "{}")])), Code::BadRequest);
    let metadata = |pairs: &[(&str, &str)]| {
        Request::of_metadata(&pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    };
    let said = [("aecp_channel", "prod"), ("aecp_author", "J"), ("aecp_justification", "x")];
    assert_eq!(metadata(&said).unwrap().channel.to_string(), "prod");
    assert_eq!(code(metadata(&said[..2])), Code::NoRequest);
}

#[test]
fn keys_say_what_an_upload_is() {
    let form = |key: &str| Key::parse(key).map(|key| (key.set.to_string(), key.name, key.form));
    let is = |name: &str, form| Ok(("hipaa".to_owned(), name.to_owned(), form));
    assert_eq!(form("inbox/hipaa/2026 11.tar.gz"), is("2026 11.tar.gz", Form::TarGz));
    assert_eq!(form("inbox/hipaa/x.tgz"), is("x.tgz", Form::TarGz));
    assert_eq!(form("inbox/hipaa/x.zip"), is("x.zip", Form::Zip));
    assert_eq!(form("inbox/hipaa/x.aecp"), is("x.aecp", Form::File));
    assert_eq!(form("inbox/hipaa/march/aecp.json"), is("march", Form::Folder));
    assert_eq!(form("inbox/hipaa/march/submission.json"), is("march", Form::Folder));
    for nothing in [
        "releases/prod/1.json",
        "inbox",
        "inbox/hipaa",
        "inbox/HIPAA/x.zip",
        "inbox/../x.zip",
        "inbox/hipaa/../x.zip",
        "inbox/hipaa/x.exe",
        "inbox/hipaa/march/a.aecp",
        "inbox/hipaa/march/deep/aecp.json",
        "inbox/hipaa/a\nb.zip",
        "reports/hipaa/x.zip.json",
    ] {
        assert!(form(nothing).is_err(), "{nothing}");
    }
    assert!(form(&format!("inbox/hipaa/{}.zip", "x".repeat(MAX_KEY_BYTES))).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever bytes come, they are read or refused.
    #[test]
    fn no_bytes_are_fatal(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = (tar_gz(&bytes), zip(&bytes));
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        gz.write_all(&bytes).unwrap();
        let _ = tar_gz(&gz.finish().unwrap());
    }

    /// A sound archive with changed bytes gives sound paths, or is refused.
    #[test]
    fn changed_archives_give_no_bad_path(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut zipped = zip_of(&[(b"a/b.aecp", FILE, b"text"), (b"aecp.json", FILE, REQUEST.as_bytes())]);
        let mut plain = tar::Builder::new(Vec::new());
        plain.append(&header(EntryType::Regular, b"a/b.aecp", 4), &b"text"[..]).unwrap();
        let mut plain = plain.into_inner().unwrap();
        for (at, byte) in &changes {
            let (z, p) = (at.index(zipped.len()), at.index(plain.len()));
            zipped[z] = *byte;
            plain[p] = *byte;
        }
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        gz.write_all(&plain).unwrap();
        for files in [zip(&zipped), tar_gz(&gz.finish().unwrap())].into_iter().flatten() {
            for path in files.keys() {
                prop_assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{path}");
            }
        }
    }
}
