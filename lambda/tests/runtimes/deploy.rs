//! The template for SAM. (Terraform's needs its provider to be checked, which is in no package index.)

use std::{fs, path::Path, process::Command};

use aecp_integration_tests::python;

fn is_sound(template: &Path) -> bool {
    let lint = python::interpreter(env!("CARGO_TARGET_TMPDIR")).with_file_name("cfn-lint");
    let output = Command::new(lint).arg(template).output().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    output.status.success()
}

#[test]
fn the_template_is_one_that_cloudformation_takes() {
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/template.yaml");
    assert!(is_sound(&template));
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong.yaml");
    let text = fs::read_to_string(&template).unwrap();
    assert_eq!(text.matches("MemorySize:").count(), 1);
    fs::write(&wrong, text.replace("MemorySize:", "MemorySise:")).unwrap();
    assert!(!is_sound(&wrong), "the checker checks nothing");
}
