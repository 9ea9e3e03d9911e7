//! What each word of the language means: one sentence and an example, for hovers and completions.

/// A word of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyword {
    /// The word.
    pub word: &'static str,
    /// One sentence.
    pub meaning: &'static str,
    /// A piece of a policy file that uses it.
    pub example: &'static str,
}

/// The word, if the language has it.
#[must_use]
pub fn keyword(word: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|keyword| keyword.word == word)
}

const fn word(word: &'static str, meaning: &'static str, example: &'static str) -> Keyword {
    Keyword { word, meaning, example }
}

/// All words, in the order in which the language's guide explains them.
#[rustfmt::skip]
pub const KEYWORDS: &[Keyword] = &[
    // files
    word("MODULE", "Names the module; without it, it has the file's name.", "MODULE payments"),
    word("DEFAULT", "Denies every request to which no BLOCKING policy of this file applies.", "DEFAULT: DENY"),
    word("SCHEMA", "Declares attributes and their types, for the whole set.", "SCHEMA {\n  customer.region: ENUM(\"EU\", \"US\")\n}"),
    word("STRICT", "Makes attributes that no SCHEMA declares errors.", "SCHEMA STRICT {\n  payload.size_kb: INT\n}"),
    word("POLICY", "A rule: to which requests it applies, what must hold there, and what happens when it does not.", "POLICY small_payloads {\n  SCOPE: requests\n  CONSTRAINT: payload.size_kb <= 1024\n  ENFORCEMENT: BLOCKING\n}"),
    word("TEST", "A request and the decision that is expected; a set whose tests fail is not signed.", "TEST \"a small payload passes\" {\n  GIVEN: { payload.size_kb: 1 }\n  EXPECT: ALLOW\n}"),
    word("INVARIANT", "What no request may ever be allowed to do, whatever the policies say.", "INVARIANT never_huge {\n  NEVER ALLOW WHERE payload.size_kb > 1000000\n}"),
    // types
    word("STRING", "The type of texts.", "storage.location: STRING"),
    word("INT", "The type of whole numbers of 64 bits.", "payload.size_kb: INT"),
    word("DECIMAL", "The type of exact decimal numbers.", "payment.amount: DECIMAL"),
    word("BOOL", "The type of `true` and `false`.", "principal.mfa: BOOL"),
    word("TIMESTAMP", "The type of points in time, written as RFC 3339 texts.", "token.issued: TIMESTAMP"),
    word("DURATION", "The type of spans of time: `15m`, `24h`, `30d`.", "session.age: DURATION"),
    word("IP", "The type of IP addresses, of both versions.", "request.ip: IP"),
    word("LIST", "The type of lists of one element type.", "principal.roles: LIST<STRING>"),
    word("ENUM", "The type of texts out of a given few.", "customer.region: ENUM(\"EU\", \"US\")"),
    // fields
    word("DESCRIPTION", "What the policy is for, in a sentence.", "DESCRIPTION: \"EU customer data stays in EU regions\""),
    word("VERSION", "The policy's version, which grows with its meaning.", "VERSION: 3"),
    word("AUTHOR", "Who answers for the policy.", "AUTHOR: \"dpo@example.com\""),
    word("JUSTIFICATION", "Why the policy is as it is.", "JUSTIFICATION: \"GDPR transfer review 2026-Q1\""),
    word("COMPLIANCE", "The controls that the policy carries out.", "COMPLIANCE: [\"GDPR Art. 44\", \"SOC2 CC6.1\"]"),
    word("SCOPE", "To which requests the policy applies: `requests` is all of them, a name is a `resource.type`.", "SCOPE: customer_data WHERE customer.region == \"EU\""),
    word("WHERE", "Adds a condition.", "SCOPE: requests WHERE customer.region == \"EU\""),
    word("CONSTRAINT", "What must hold for the requests to which the policy applies.", "CONSTRAINT: storage.location IN [\"eu-west-1\", \"eu-central-1\"]"),
    word("ENFORCEMENT", "What happens when the policy is violated: BLOCKING, ADVISORY or AUDIT_ONLY.", "ENFORCEMENT: BLOCKING"),
    word("BLOCKING", "A violation denies the request, and so does a violation that cannot be ruled out.", "ENFORCEMENT: BLOCKING"),
    word("ADVISORY", "A violation is told to the caller and recorded; the request goes on.", "ENFORCEMENT: ADVISORY"),
    word("AUDIT_ONLY", "A violation is recorded; the caller sees nothing.", "ENFORCEMENT: AUDIT_ONLY"),
    word("AUDIT", "How surely decisions are recorded: REQUIRED (unless said otherwise), OPTIONAL or NONE.", "AUDIT: REQUIRED"),
    word("REQUIRED", "No answer leaves before its record is on disk.", "AUDIT: REQUIRED"),
    word("OPTIONAL", "Decisions are recorded, but the answer does not wait.", "AUDIT: OPTIONAL"),
    word("NONE", "Nothing is recorded on this policy's account.", "AUDIT: NONE"),
    word("EXCEPTION", "What may overrule the policy's denial.", "EXCEPTION: break_glass_token_required"),
    word("break_glass_token_required", "A valid signed break-glass token for this policy turns its denial into an allow that is always recorded.", "EXCEPTION: break_glass_token_required"),
    word("AT", "The enforcement points where the policy is evaluated; all of them without it.", "AT: [INGRESS, EGRESS]"),
    word("INGRESS", "The point where requests enter.", "AT: [INGRESS]"),
    word("MESH", "The point between services.", "AT: [MESH]"),
    word("DATA", "The point at the data.", "AT: [DATA]"),
    word("EGRESS", "The point where answers leave.", "AT: [EGRESS]"),
    word("EFFECTIVE", "From when and until when the policy is in force.", "EFFECTIVE: FROM \"2026-01-01T00:00:00Z\" UNTIL \"2027-01-01T00:00:00Z\""),
    word("FROM", "The first moment at which the policy is in force.", "EFFECTIVE: FROM \"2026-01-01T00:00:00Z\""),
    word("UNTIL", "The moment from which the policy is no longer in force.", "EFFECTIVE: UNTIL \"2027-01-01T00:00:00Z\""),
    // obligations
    word("MASK", "An attribute that is hidden, in part or whole, before the data goes on.", "MASK: customer.ssn WITH LAST(4)"),
    word("LAST", "Leaves only the last characters readable.", "MASK: customer.ssn WITH LAST(4)"),
    word("REDACT", "Takes the whole value away.", "REDACT: customer.ssn"),
    word("HASH", "Puts a digest in the value's place.", "HASH: customer.email"),
    word("FILTER", "Lets only those rows through for which the condition holds.", "FILTER: row.tenant_id == principal.tenant_id"),
    word("LIMIT", "How many requests are let through in a time.", "LIMIT: 100 PER 1m BY principal.id"),
    word("PER", "The time in which they are counted.", "LIMIT: 100 PER 1m BY principal.id"),
    word("BY", "In LIMIT: each value of this attribute is counted by itself. In EXPECT: the policies that deny.", "EXPECT: DENY BY customer_data_residency"),
    // conditions
    word("AND", "Both must hold; it binds more than OR.", "customer.region == \"EU\" AND payload.size_kb > 10"),
    word("OR", "One of both must hold; it binds least.", "customer.region == \"EU\" OR customer.region == \"CH\""),
    word("NOT", "The contrary; it binds most.", "NOT principal.mfa"),
    word("IN", "One of a list's values, an element of a LIST attribute, or an address of a network.", "storage.location IN [\"eu-west-1\", \"eu-central-1\"]"),
    word("BETWEEN", "From the one to the other, both included.", "payload.size_kb BETWEEN 1 AND 1024"),
    word("CIDR", "The addresses of a network.", "request.ip IN CIDR \"10.0.0.0/8\""),
    word("CONTAINS", "Of a LIST: has the element. Of a STRING: has the part.", "principal.roles CONTAINS \"admin\""),
    word("STARTS", "The text begins so.", "request.path STARTS WITH \"/admin\""),
    word("ENDS", "The text ends so.", "request.host ENDS WITH \".internal\""),
    word("WITH", "Goes with STARTS, ENDS, MASK and ALLOW.", "request.path STARTS WITH \"/admin\""),
    word("MATCHES", "The text fits a pattern: `*` is any text, `?` one character, `\\` takes the next one as it is.", "request.path MATCHES \"/users/*/cards\""),
    word("EXISTS", "The request has the attribute; never unknown.", "principal.id EXISTS"),
    word("IS", "Goes with MISSING.", "principal.id IS MISSING"),
    word("MISSING", "The request lacks the attribute; never unknown.", "principal.id IS MISSING"),
    // tests and invariants
    word("GIVEN", "The attributes of the test's request.", "GIVEN: { customer.region: \"EU\", payload.size_kb: 1 }"),
    word("EXPECT", "The decision that the request must get.", "EXPECT: DENY BY customer_data_residency"),
    word("ALLOW", "The request goes on.", "EXPECT: ALLOW"),
    word("DENY", "The request is stopped.", "EXPECT: DENY BY customer_data_residency"),
    word("NEVER", "Begins what an invariant rules out.", "NEVER ALLOW WHERE payload.size_kb > 1000000"),
    word("ASSUMED", "The author vouches for the invariant, which then needs no proof; the release says so.", "INVARIANT never_huge ASSUMED {\n  NEVER ALLOW WHERE payload.size_kb > 1000000\n}"),
    word("FIXTURE", "Attributes that several tests share.", "FIXTURE \"an EU customer\" {\n  GIVEN: { customer.region: \"EU\" }\n}"),
    word("EXTENDS", "Takes the attributes of a fixture over.", "GIVEN EXTENDS \"an EU customer\": { payload.size_kb: 1 }"),
    word("TABLE", "One test per row.", "TABLE"),
    word("MIN_COVERAGE", "How much of its clauses the set's tests must cover to be published.", "MIN_COVERAGE: 90"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every word in capitals that the grammar has, and the one in small letters.
    fn grammar() -> BTreeSet<&'static str> {
        let pest = include_str!("../language/aecp.pest");
        let lines = pest.lines().map(|line| line.split("//").next().unwrap_or_default());
        let quoted = lines.flat_map(|line| line.split('"').skip(1).step_by(2));
        let is_word =
            |text: &&str| text.len() > 1 && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        quoted.filter(|text| is_word(text) || *text == "break_glass_token_required").collect()
    }

    #[test]
    fn every_word_of_the_grammar_is_explained_once() {
        let grammar = grammar();
        assert!(grammar.len() > 60 && grammar.contains("IP") && grammar.contains("CIDR"), "{grammar:?}");
        let explained: BTreeSet<_> = KEYWORDS.iter().map(|keyword| keyword.word).collect();
        assert_eq!(explained.len(), KEYWORDS.len());
        assert_eq!(grammar.difference(&explained).collect::<Vec<_>>(), Vec::<&&str>::new());
        for keyword in KEYWORDS {
            assert!(keyword.meaning.ends_with('.') && !keyword.example.is_empty(), "{keyword:?}");
        }
    }

    #[test]
    fn the_textmate_grammar_colours_every_word_of_the_grammar() {
        let json = include_str!("../../../editors/vscode/syntaxes/aecp.tmLanguage.json");
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        let mut coloured = BTreeSet::new();
        for rule in json["repository"].as_object().unwrap().values() {
            let patterns = rule["patterns"].as_array().unwrap();
            for text in patterns.iter().filter_map(|pattern| pattern["match"].as_str()) {
                // `\b(ONE|TWO)\b`
                let words = text.strip_prefix("\\b(").and_then(|rest| rest.strip_suffix(")\\b"));
                coloured.extend(words.into_iter().flat_map(|words| words.split('|')));
            }
        }
        let missing: Vec<_> = grammar().into_iter().filter(|word| !coloured.contains(word)).collect();
        assert_eq!(missing, Vec::<&str>::new());
    }
}
