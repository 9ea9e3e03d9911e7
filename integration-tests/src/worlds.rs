//! Worlds so small that every request in them can be listed: oracles by brute force.

use serde_json::Value;

use crate::generated::Random;

/// A few attributes, what may be said of them, and the values that they may have.
#[derive(Debug)]
pub struct World {
    /// Declarations of a SCHEMA.
    pub schema: &'static str,
    /// Conditions without AND, OR and NOT.
    pub atoms: &'static [&'static str],
    /// For each attribute the forms of its values in JSON; missing and unusable are added.
    pub values: &'static [(&'static str, &'static [&'static str])],
    /// Whether what is not shown by one of these values is shown by no value at all.
    pub complete: bool,
}

const INTEGERS: &[&str] = &["-3", "-2", "-1", "0", "1", "2", "3", "4", "5"];
const TEXTS: &[&str] = &[
    r#""""#,
    r#""a""#,
    r#""b""#,
    r#""c""#,
    r#""aa""#,
    r#""ab""#,
    r#""ac""#,
    r#""ba""#,
    r#""bb""#,
    r#""bc""#,
    r#""ca""#,
    r#""cb""#,
    r#""cc""#,
    r#""aab""#,
    r#""aba""#,
    r#""abb""#,
    r#""abc""#,
    r#""acb""#,
    r#""bab""#,
    r#""bca""#,
    r#""cab""#,
    r#""acab""#,
    r#""abab""#,
    r#""bcab""#,
];
const LISTS: &[&str] = &[
    "[]",
    r#"["a"]"#,
    r#"["b"]"#,
    r#"["c"]"#,
    r#"["a","a"]"#,
    r#"["a","b"]"#,
    r#"["b","c"]"#,
    r#"["c","a"]"#,
    r#"["a","b","c"]"#,
];

/// Worlds of every type and every atom.
pub const WORLDS: &[World] = &[
    World {
        schema: r#"flag: BOOL mode: ENUM("x", "y", "z") n: INT"#,
        atoms: &[
            "flag",
            "flag == false",
            "flag != true",
            "flag EXISTS",
            "flag IS MISSING",
            r#"mode == "x""#,
            r#"mode != "y""#,
            r#"mode IN ["x", "z"]"#,
            r#"mode NOT IN ["y", "z"]"#,
            "mode EXISTS",
            "n < 0",
            "n <= 1",
            "n > 1",
            "n >= 2",
            "n == 1",
            "n != 0",
            "n BETWEEN 0 AND 1",
            "n IN [0, 2]",
            "n NOT IN [1]",
            "n IS MISSING",
            "n BETWEEN 1 AND 0",
        ],
        values: &[
            ("flag", &["true", "false"]),
            ("mode", &[r#""x""#, r#""y""#, r#""z""#]),
            ("n", INTEGERS),
        ],
        complete: true,
    },
    World {
        schema: "n: INT m: INT flag: BOOL",
        atoms: &[
            "n < m",
            "n <= m",
            "n > m",
            "n >= m",
            "n == m",
            "n != m",
            "m < n",
            "n BETWEEN m AND 2",
            "m BETWEEN 0 AND n",
            "n < 1",
            "m > 1",
            "m == 0",
            "n != 2",
            "flag",
            "n EXISTS",
            "m IS MISSING",
            "n IN [0, 1]",
            "n < n",
            "m <= m",
        ],
        values: &[("n", INTEGERS), ("m", INTEGERS), ("flag", &["true", "false"])],
        complete: true,
    },
    World {
        schema: r#"flag: BOOL sure: BOOL flags: LIST<BOOL> mode: ENUM("x", "y") kind: ENUM("y", "z")"#,
        atoms: &[
            "flag IN flags",
            "flag NOT IN flags",
            "true IN flags",
            "flags CONTAINS false",
            "flags CONTAINS sure",
            "flags EXISTS",
            "flag == sure",
            "flag != sure",
            "sure",
            "mode == kind",
            "mode != kind",
            r#"mode == "x""#,
            r#"kind IN ["y"]"#,
            "kind IS MISSING",
        ],
        values: &[
            ("flag", &["true", "false"]),
            ("sure", &["true", "false"]),
            ("flags", &["[]", "[true]", "[false]", "[true, false]"]),
            ("mode", &[r#""x""#, r#""y""#]),
            ("kind", &[r#""y""#, r#""z""#]),
        ],
        complete: true,
    },
    World {
        schema: r#"a: BOOL a.b: BOOL a.b.c: ENUM("x", "y") a.d: BOOL"#,
        atoms: &[
            "a",
            "a EXISTS",
            "a IS MISSING",
            "a.b",
            "a.b EXISTS",
            "a.b == a",
            "a.b.c EXISTS",
            r#"a.b.c == "x""#,
            r#"a.b.c != "x""#,
            "a.b IS MISSING",
            "a.d",
            "a.d != a",
            "a.d IS MISSING",
        ],
        values: &[
            ("a", &["true", "false"]),
            ("a.b", &["true", "false"]),
            ("a.b.c", &[r#""x""#, r#""y""#]),
            ("a.d", &["true", "false"]),
        ],
        complete: true,
    },
    World {
        schema: "s: STRING t: STRING",
        atoms: &[
            r#"s == "a""#,
            r#"s IN ["a", "ab", "bc"]"#,
            r#"s NOT IN ["", "b"]"#,
            r#"s STARTS WITH "a""#,
            r#"s ENDS WITH "b""#,
            r#"s CONTAINS "a""#,
            r#"s MATCHES "a*b""#,
            r#"s MATCHES "?""#,
            r#"s MATCHES "??""#,
            r#"s MATCHES "*a?""#,
            "s == t",
            "s != t",
            r#"t STARTS WITH "ab""#,
            r#"t == "ab""#,
            r#"t MATCHES "?b*""#,
            r#"t CONTAINS "bc""#,
            "s EXISTS",
            "t IS MISSING",
            "s STARTS WITH t",
            "s ENDS WITH t",
            "s CONTAINS t",
            "t STARTS WITH s",
        ],
        values: &[("s", TEXTS), ("t", TEXTS)],
        complete: false,
    },
    World {
        schema: "s: STRING t: STRING names: LIST<STRING> tags: LIST<STRING>",
        atoms: &[
            "s IN names",
            "s NOT IN tags",
            "names CONTAINS t",
            "t NOT IN names",
            "names == tags",
            "names != tags",
            r#"names CONTAINS "a""#,
            r#""b" NOT IN tags"#,
            r#"s == "a""#,
            r#"s != "b""#,
            r#"t IN ["a", "b"]"#,
            "s == t",
            "s != t",
            "names EXISTS",
            "tags IS MISSING",
        ],
        values: &[
            ("s", &[r#""a""#, r#""b""#, r#""c""#]),
            ("t", &[r#""a""#, r#""b""#, r#""c""#]),
            ("names", LISTS),
            ("tags", LISTS),
        ],
        complete: false,
    },
    World {
        schema: "d: DECIMAL time: TIMESTAMP span: DURATION ip: IP peer: IP",
        atoms: &[
            "d < 0.1",
            "d >= 0.1",
            "d == 0.25",
            "d BETWEEN 0.1 AND 0.25",
            "d > 0.25",
            r#"time < "2026-01-01T00:00:00Z""#,
            r#"time >= "2026-01-01T00:00:00Z""#,
            r#"time == "2026-01-01T00:00:00.5Z""#,
            "span < 1m",
            "span > 59s",
            "span == 1h",
            r#"ip IN CIDR "10.0.0.0/8""#,
            r#"ip NOT IN CIDR "10.1.0.0/16""#,
            r#"ip == "10.1.2.3""#,
            "ip == peer",
            "ip != peer",
            r#"peer IN CIDR "10.1.0.0/16""#,
            r#"peer IN ["10.1.2.3", "::1"]"#,
        ],
        values: &[
            ("d", &["0", "0.1", "0.2", "0.25", "0.3"]),
            (
                "time",
                &[
                    r#""2025-12-31T23:59:59.9Z""#,
                    r#""2026-01-01T00:00:00Z""#,
                    r#""2026-01-01T00:00:00.5Z""#,
                    r#""2026-01-01T00:00:01Z""#,
                ],
            ),
            ("span", &[r#""59s""#, r#""59500ms""#, r#""60s""#, r#""1h""#]),
            ("ip", &[r#""10.1.2.3""#, r#""10.2.0.0""#, r#""10.1.0.9""#, r#""::1""#]),
            ("peer", &[r#""10.1.2.3""#, r#""10.2.0.0""#, r#""::1""#]),
        ],
        complete: false,
    },
];

impl World {
    /// Every request that there is, but for values that are not listed.
    ///
    /// # Panics
    /// If a value is no JSON.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        let mut texts = vec![String::new()];
        for (path, values) in self.values {
            let unusable = if values.contains(&"true") { "7" } else { "true" };
            texts = texts
                .iter()
                .flat_map(|text| {
                    let with = |value: &&str| format!("{text},\"{path}\":{value}");
                    let given = values.iter().chain([&unusable]).map(with).collect::<Vec<_>>();
                    given.into_iter().chain([text.clone()])
                })
                .collect();
        }
        let object = |text: &String| format!("{{{}}}", text.trim_start_matches(','));
        texts.iter().map(|text| serde_json::from_str(&object(text)).expect("an object")).collect()
    }

    /// A random condition, nested no deeper than this.
    pub fn condition(&self, random: &mut Random, depth: usize) -> String {
        match random.below(if depth == 0 { 2 } else { 6 }) {
            0 | 1 => random.pick(self.atoms).to_owned(),
            2 => format!("NOT ({})", self.condition(random, depth - 1)),
            3 => {
                let (a, b) = (self.condition(random, depth - 1), self.condition(random, depth - 1));
                format!("({a} OR {b})")
            }
            _ => {
                let (a, b) = (self.condition(random, depth - 1), self.condition(random, depth - 1));
                format!("({a} AND {b})")
            }
        }
    }

    /// These policies beside the world's SCHEMA.
    #[must_use]
    pub fn source(&self, policies: &str) -> String {
        format!("SCHEMA {{ {} }}\n{policies}", self.schema)
    }
}
