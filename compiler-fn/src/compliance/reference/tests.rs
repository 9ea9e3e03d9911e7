//! The spellings that people use, and what is none.

use std::{fs, path::Path};

use super::*;

fn named(text: &str) -> String {
    match resolve(text) {
        Reference::Control { framework, control, canonical } => {
            let listed = framework.canonical(control);
            if listed == canonical { listed } else { format!("{canonical} in {control}") }
        }
        Reference::Part { canonical, .. } => format!("all of {canonical}"),
        Reference::Unknown { problem, .. } => format!("{problem:?}"),
        Reference::Other => "other".to_owned(),
    }
}

#[test]
fn the_spellings_that_people_use_name_one_control_in_one_form() {
    for (text, expected) in [
        ("GDPR Art. 44", "GDPR Art. 44"),
        ("gdpr article 44", "GDPR Art. 44"),
        ("GDPR-Art-44", "GDPR Art. 44"),
        ("GDPR 44", "GDPR Art. 44"),
        ("EU GDPR Art.32", "GDPR Art. 32"),
        ("Regulation (EU) 2016/679 Art. 32", "GDPR Art. 32"),
        ("GDPR Art. 32(1)(b)", "GDPR Art. 32(1)(b) in 32"),
        ("GDPR Art. 32 (1) (b)", "GDPR Art. 32(1)(b) in 32"),
        ("GDPR Art. 32.1.b", "GDPR Art. 32(1)(b) in 32"),
        ("DSGVO Art. 32 Abs. 1 lit. b", "GDPR Art. 32(1)(b) in 32"),
        ("GDPR Art. 32 - Security of processing", "GDPR Art. 32"),
        ("GDPR Art. 17 (right to erasure)", "GDPR Art. 17"),
        ("GDPR Chapter V", "all of GDPR Chapter V"),
        ("GDPR", "all of GDPR"),
        ("HIPAA 164.312(a)(1)", "HIPAA 164.312(a)(1)"),
        ("HIPAA §164.312(a)(2)(iv)", "HIPAA 164.312(a)(2)(iv)"),
        ("HIPAA § 164.312(A)(2)(IV)", "HIPAA 164.312(a)(2)(iv)"),
        ("HIPAA 45 CFR 164.308(a)(3)(ii)(C)", "HIPAA 164.308(a)(3)(ii)(C)"),
        ("HIPAA Security Rule, 45 CFR § 164.312(b)", "HIPAA 164.312(b)"),
        ("45 CFR 164.312(b)", "HIPAA 164.312(b)"),
        ("HIPAA 164.312.a.1", "HIPAA 164.312(a)(1)"),
        ("HIPAA 164.512(i)(1)(i)", "HIPAA 164.512(i)(1)(i) in 164.512(i)"),
        ("HIPAA 164.402(2)", "HIPAA 164.402(2) in 164.402"),
        ("HIPAA 164.312(a)", "all of HIPAA 164.312(a)"),
        ("HIPAA 164.312(a)(2)", "all of HIPAA 164.312(a)(2)"),
        ("HIPAA 164.308", "all of HIPAA 164.308"),
        ("HIPAA Security Rule", "all of HIPAA"),
        ("SOC2 CC6.1", "SOC 2 CC6.1"),
        ("SOC 2 CC6.1", "SOC 2 CC6.1"),
        ("soc-2 cc6.1", "SOC 2 CC6.1"),
        ("SOC2-CC6.1", "SOC 2 CC6.1"),
        ("SOC 2 CC 6.1", "SOC 2 CC6.1"),
        ("SOC 2 Type II CC6.1", "SOC 2 CC6.1"),
        ("SOC 2 Type 2 A1.2", "SOC 2 A1.2"),
        ("AICPA TSC PI1.4", "SOC 2 PI1.4"),
        ("SOC 2 CC6.1: logical access", "SOC 2 CC6.1"),
        ("SOC 2 CC6.1.3", "SOC 2 CC6.1.3 in CC6.1"),
        ("SOC 2 CC6", "all of SOC 2 CC6"),
        ("PCI-DSS 3.4.1", "PCI DSS 3.4.1"),
        ("PCI 3.4.1", "PCI DSS 3.4.1"),
        ("PCI DSS 3.2.1", "PCI DSS 3.2.1"),
        ("PCI DSS 4.0 Req. 8.3.6", "PCI DSS 8.3.6"),
        ("PCI DSS v4.0.1 8.3.6", "PCI DSS 8.3.6"),
        ("PCI DSS 4.0 8.3.6", "PCI DSS 8.3.6"),
        ("PCI DSS version 4 Requirement 8.3.6", "PCI DSS 8.3.6"),
        ("PCI-DSS-4.0-8.3.10.1", "PCI DSS 8.3.10.1"),
        ("PCI DSS 8.3.6.a", "PCI DSS 8.3.6.a in 8.3.6"),
        ("PCI DSS Appendix A1.1.4", "PCI DSS A1.1.4"),
        ("PCI DSS 4.0 Req. 8.3", "all of PCI DSS 8.3"),
        ("PCI DSS 4.0 Req. 8", "all of PCI DSS 8"),
        ("PCI DSS 4.0.1", "all of PCI DSS"),
    ] {
        assert_eq!(named(text), expected, "{text}");
        // What reports print is itself such a reference.
        let canonical = expected.trim_start_matches("all of ").split(" in ").next().unwrap();
        assert_eq!(named(canonical), expected, "{canonical}");
    }
}

#[test]
fn what_names_no_control_is_said_and_what_has_no_catalogue_is_left_alone() {
    let not_listed = |id: &str| format!("{:?}", Problem::NotListed { id: id.to_owned() });
    let edition = |edition: &str| format!("{:?}", Problem::Edition(edition.to_owned()));
    let several = format!("{:?}", Problem::Several);
    for (text, expected) in [
        ("GDPR Art. 100", not_listed("100")),
        ("GDPR Art. 0", not_listed("0")),
        ("GDPR Article", "all of GDPR".to_owned()),
        ("GDPR lawful basis", format!("{:?}", Problem::NoControl)),
        ("GDPR Art. 44-49", several.clone()),
        ("GDPR Art. 5, 6", several.clone()),
        ("GDPR Art. 5 and 6", several.clone()),
        ("GDPR Art. 5(1)(a)-(c)", several.clone()),
        ("SOC2 CC6.1, CC6.2", several.clone()),
        ("SOC2 CC6.1 and SOC2 CC6.2", several.clone()),
        ("HIPAA §§ 164.308, 164.312", several.clone()),
        ("PCI DSS 1.2.1, 1.2.2", several),
        ("HIPAA 164.312(a)(2)(v)", not_listed("164.312(a)(2)(v)")),
        ("HIPAA 164.312(f)", not_listed("164.312(f)")),
        ("HIPAA 312(a)(1)", not_listed("312.a(1)")),
        ("SOC2 CC6.9", not_listed("CC6.9")),
        ("SOC2 CC10.1", not_listed("CC10.1")),
        ("PCI DSS 8.3.12", not_listed("8.3.12")),
        ("PCI DSS 8.3.6.1", not_listed("8.3.6.1")),
        ("PCI DSS 3.2.1 Req. 8.3", edition("3.2.1")),
        ("PCI DSS v3.2.1 8.3.1", edition("3.2.1")),
    ] {
        assert_eq!(named(text), expected, "{text}");
    }
    for text in [
        "",
        "§§ --",
        "ISO 27001 A.5.15",
        "NIST SP 800-207 Tenet 3",
        "UK GDPR Art. 5",
        "GDPR Recital 26",
        "SOC 1 CC6.1",
        "PCI PIN 3.1",
        "45 CFR 46.111",
        "HIPAA 160.310",
        "164.312(a)(1)",
        "our handbook, GDPR Art. 5",
        "数据安全法 第三章",
    ] {
        assert_eq!(named(text), "other", "{text}");
    }
}

#[test]
fn every_control_is_found_under_its_own_name() {
    for framework in Framework::ALL {
        for section in &framework.catalogue().sections {
            for control in &section.controls {
                let canonical = framework.canonical(&control.id);
                let expected = Reference::Control { framework, control: &control.id, canonical };
                let Reference::Control { canonical, .. } = &expected else { unreachable!() };
                assert_eq!(resolve(canonical), expected);
            }
        }
    }
}

#[test]
fn every_reference_of_the_shipped_policies_names_what_exists() {
    let mut counts = [0; 3];
    for set in ["gdpr_residency", "hipaa", "pci_dss", "soc2", "zero_trust"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies").join(set);
        for entry in fs::read_dir(folder).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            for list in text.split("COMPLIANCE: [").skip(1) {
                let list = list.split(']').next().unwrap();
                for reference in list.split('"').skip(1).step_by(2) {
                    match resolve(reference) {
                        Reference::Control { .. } => counts[0] += 1,
                        Reference::Other => counts[1] += 1,
                        _ => counts[2] += 1,
                    }
                    let other = resolve(reference) == Reference::Other;
                    assert_eq!(other, reference.starts_with("NIST SP 800-207 Tenet"), "{reference}");
                    assert!(!matches!(resolve(reference), Reference::Unknown { .. }), "{reference}");
                }
            }
        }
    }
    assert!(counts[0] > 150 && counts[1] > 30, "{counts:?}");
}
