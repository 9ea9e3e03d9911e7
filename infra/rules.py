"""What `check` asks of Terraform's modules."""

import json
import re

import hcl

# Actions that an identity may have with any resource: none. Roles that may do everything: none.
TOO_MUCH = re.compile(r"roles/(owner|editor|storage\.admin)|\b(Owner|Contributor)\b")


DAILY = "nothing looks once a day when releases expire"


class Module:
    """A folder of Terraform's files."""

    def __init__(self, folder):
        self.name = folder.name
        self.files = {path.name: path.read_text() for path in sorted(folder.glob("*.tf"))}
        trees = [hcl.loads(text) for text in self.files.values()]
        self.resources = [found for tree in trees for found in hcl.resources(tree)]
        self.of = {section: dict(pair for tree in trees for entry in tree.get(section, []) for pair in hcl.labelled(entry))
                   for section in ["variable", "output", "module"]}
        self.locals = {name for tree in trees for entry in tree.get("locals", []) for name, _ in hcl.labelled(entry)}
        self.text = "\n".join(self.files.values())

    def bodies(self, type_):
        return [(name, body) for _, of, name, body in self.resources if of == type_]


def arguments(module, known):
    """Unknown and missing arguments and blocks."""
    for kind, type_, name, body in module.resources:
        fields = known.get(f"{kind}.{type_}")
        if fields is None:
            yield f"{module.name}: {type_} is not in arguments.json; run infra/arguments"
        else:
            yield from of_body(f"{module.name}: {type_}.{name}", body, fields, top=True)


def of_body(where, body, fields, top=False):
    meta = {"count", "for_each", "depends_on", "provider"} if top else set()
    there, inside = hcl.arguments(body), [found for found in hcl.blocks(body) if not (top and found[0] == "lifecycle")]
    for argument in there.keys() - fields["arguments"].keys() - meta:
        yield f"{where}: there is no argument `{argument}`"
    for argument, required in fields["arguments"].items():
        if required and argument not in there:
            yield f"{where}: the argument `{argument}` is missing"
    for block, content in inside:
        if block in fields["blocks"]:
            yield from of_body(f"{where}.{block}", content, fields["blocks"][block])
        else:
            yield f"{where}: there is no block `{block}`"


def references(module, modules, no_resource):
    """References to what is not there, and inputs of modules that are not."""
    code = re.sub(r"(?m)(^|\s)#.*$", "", module.text)
    there = {f"{'data.' if kind == 'data' else ''}{type_}.{name}" for kind, type_, name, _ in module.resources}
    for name in set(re.findall(r"\bvar\.(\w+)", code)) - module.of["variable"].keys():
        yield f"{module.name}: there is no variable `{name}`"
    uses = "".join(text for name, text in module.files.items() if name != "variables.tf")
    for name in module.of["variable"].keys() - set(re.findall(r"\bvar\.(\w+)", uses)):
        yield f"{module.name}: nothing uses the variable `{name}`"
    for name in set(re.findall(r"\blocal\.(\w+)", code)) - module.locals:
        yield f"{module.name}: there is no local `{name}`"
    for name in set(re.findall(r"\b(data\.\w+\.\w+)", code)) - there:
        yield f"{module.name}: there is no {name}"
    for name in set(re.findall(r"(?<![\w.\"/])((?:aws|google|azurerm|azuread)_\w+\.\w+)", code)) - there:
        yield f"{module.name}: there is no {name}"
    for called, output in set(re.findall(r"\bmodule\.(\w+)\.(\w+)", code)):
        if called not in modules or output not in modules[called].of["output"]:
            yield f"{module.name}: the module {called} has no output `{output}`"
    for called, body in module.of["module"].items():
        inputs, given = modules[called].of["variable"], hcl.arguments(body).keys() - {"source"}
        for name in given - inputs.keys():
            yield f"{module.name}: the module {called} has no variable `{name}`"
        for name in {name for name, of in inputs.items() if "default" not in of} - given:
            yield f"{module.name}: the module {called} needs `{name}`"


def same(clouds):
    """The modules of the clouds have one surface."""
    first = clouds[0]
    for other in clouds[1:]:
        if first.files.get("variables.tf") != other.files.get("variables.tf"):
            yield f"{other.name}/variables.tf is not that of {first.name}"
        for name in first.of["output"].keys() ^ other.of["output"].keys():
            yield f"only one of {first.name} and {other.name} has the output `{name}`"
        for name in first.of["output"].keys() & other.of["output"].keys():
            if first.of["output"][name].get("description") != other.of["output"][name].get("description"):
                yield f"the output `{name}` of {other.name} says something else than that of {first.name}"


def safe(module, seven_years):
    """No public access, no identity that may do too much, versions, retention, limits, dead letters."""
    def needs(holds, what):
        if not holds:
            yield f"{module.name}: {what}"

    retention = module.of["variable"]["retention_days"]
    yield from needs(retention["default"] >= seven_years and f">= {seven_years}" in json.dumps(retention),
                     f"logs must be kept for {seven_years} days at least")
    yield from needs(not re.search(r"allUsers|allAuthenticatedUsers|\"(blob|container)\"$", module.text, re.M),
                     "the public is let in")
    yield from needs(not TOO_MUCH.search(re.sub(r"Storage Blob Data \w+", "", module.text)), "a role may do everything")
    yield from needs(module.text.count("dead_letters") > 2, "there are no dead letters")
    # On Azure the schedule is in the function's package.
    yield from needs(module.name == "azure" or 'jsonencode({ check = "channels" })' in module.text, DAILY)
    yield from {"aws": aws, "google": google, "azure": azure}[module.name](module, needs)


def aws(module, needs):
    for _, body in module.bodies("aws_s3_bucket_public_access_block"):
        flags = ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"]
        yield from needs(all(body.get(flag) is True for flag in flags), "a bucket may become public")
    versioning = [body["versioning_configuration"][0]["status"] for _, body in module.bodies("aws_s3_bucket_versioning")]
    yield from needs(versioning == ['"Enabled"'], "a bucket has no versions")
    for per_bucket in ["aws_s3_bucket_public_access_block", "aws_s3_bucket_versioning", "aws_s3_bucket_policy"]:
        yield from needs([body.get("for_each") for _, body in module.bodies(per_bucket)] == ["${local.buckets}"],
                         f"not every bucket has {per_bucket}")
    locks = [body["rule"][0]["default_retention"][0]["days"] for _, body in module.bodies("aws_s3_bucket_object_lock_configuration")]
    yield from needs(locks == ["${var.retention_days}"], "logs of decisions are not locked")
    for name, body in module.bodies("aws_iam_policy_document"):
        for statement in body.get("statement", []):
            if statement.get("effect") == '"Deny"':
                continue
            actions = [action.strip('"') for action in statement["actions"]]
            yield from needs(not any("*" in action or "Delete" in action for action in actions),
                             f"{name} allows {', '.join(actions)}")
            resources = statement.get("resources", [])
            yield from needs('"*"' not in resources, f"{name} is about any resource")
            if name == "uploader":
                yield from needs("s3:ListBucket" in actions or all("${each.key}/" in of for of in resources),
                                 "uploaders reach other sets")
    (_, notification), = module.bodies("aws_s3_bucket_notification")
    prefixes = [block.get("filter_prefix") for name, block in hcl.blocks(notification) if name == "lambda_function"]
    yield from needs(prefixes == ['"inbox/"'], "the trigger is not restricted to inbox/")
    (_, function), = module.bodies("aws_lambda_function")
    yield from needs((function["memory_size"], function["timeout"]) == (512, 60), "the function has other limits")


def google(module, needs):
    for name, body in module.bodies("google_storage_bucket"):
        yield from needs(body.get("public_access_prevention") == '"enforced"' and body.get("uniform_bucket_level_access") is True,
                         f"the bucket {name} may become public")
        retention = [block["retention_period"] for block in body.get("retention_policy", [])]
        versions = [block["enabled"] for block in body.get("versioning", [])]
        yield from needs(versions == [True] or retention == ["${var.retention_days * 86400}"],
                         f"the bucket {name} keeps neither versions nor all")
    yield from needs(any(body.get("retention_policy") for _, body in module.bodies("google_storage_bucket")),
                     "logs of decisions are not locked")
    for _, body in module.bodies("google_project_iam_custom_role"):
        yield from needs("*" not in json.dumps(body["permissions"]), "a role has a wildcard")
    for name, body in module.bodies("google_storage_bucket_iam_member"):
        free = name.endswith("_list") or name.startswith("transfer_")
        yield from needs(free or body.get("condition"), f"{name} is not restricted to a prefix")
    notifications = {name: body["object_name_prefix"] for name, body in module.bodies("google_storage_notification")}
    yield from needs(notifications.get("inbox") == '"inbox/"', "the trigger is not restricted to inbox/")
    (_, service), = module.bodies("google_cloud_run_v2_service")
    template, = service["template"]
    limits = template["containers"][0]["resources"][0]["limits"]
    yield from needs('512Mi' in json.dumps(limits) and template["timeout"] == '"60s"', "the function has other limits")
    yield from needs(service["ingress"] == '"INGRESS_TRAFFIC_INTERNAL_ONLY"', "the function listens to the internet")


def azure(module, needs):
    for name, body in module.bodies("azurerm_storage_account"):
        yield from needs(body.get("allow_nested_items_to_be_public") is False and body.get("shared_access_key_enabled") is False,
                         f"the account {name} may become public, or has keys")
        versions = [block.get("versioning_enabled") for block in body.get("blob_properties", [])]
        yield from needs(versions == [True], f"the account {name} has no versions")
    locked = {name: block["period_since_creation_in_days"] for name, body in module.bodies("azurerm_storage_account")
              for block in body.get("immutability_policy", [])}
    yield from needs(locked == {"audit": "${var.retention_days}"}, "logs of decisions are not locked")
    for name, body in module.bodies("azurerm_role_definition"):
        actions = json.dumps(body["permissions"])
        yield from needs(not re.search(r"\*|delete", actions), f"the role {name} may delete, or has a wildcard")
    for name, body in module.bodies("azurerm_role_assignment"):
        ours = "azurerm_role_definition.blobs" in body.get("role_definition_id", "")
        yield from needs(not ours or "local.conditions" in body.get("condition", ""), f"{name} is not restricted to paths")
    for _, body in module.bodies("azurerm_eventgrid_system_topic_event_subscription"):
        begins = body["subject_filter"][0]["subject_begins_with"]
        yield from needs(begins.endswith('/blobs/inbox/"'), "the trigger is not restricted to inbox/")
    (_, function), = module.bodies("azurerm_function_app_flex_consumption")
    yield from needs(function["instance_memory_in_mb"] == 512, "the function has other limits")


def package(text):
    """What Azure's package has besides the program."""
    if '"timerTrigger"' not in text or '"daily/function.json": text(DAILY)' not in text:
        yield f"package: {DAILY}"


def template(text, seven_years):
    """The same of the SAM template, as far as its text says it."""
    buckets = text.count("Type: AWS::S3::Bucket\n")
    for what, holds in [
        ("a bucket may become public", text.count("BlockPublicAcls: true, BlockPublicPolicy: true, IgnorePublicAcls: true, "
                                                  "RestrictPublicBuckets: true") == buckets),
        ("a bucket has no versions", text.count("VersioningConfiguration: {Status: Enabled}") == buckets),
        ("logs of decisions are not locked", "DefaultRetention: {Mode: !Ref AuditLock, Days: !Ref RetentionDays}" in text),
        (f"logs must be kept for {seven_years} days at least", f"MinValue: {seven_years}" in text),
        ("the trigger is not restricted to inbox/", "object: {key: [{prefix: inbox/}]}" in text),
        (DAILY, """Schedule: rate(1 day), Input: '{"check":"channels"}'""" in text),
        ("an identity may do too much", not re.search(r"Action: .*(s3|sqs|sns|logs):(\*|Delete)", text)
         and len(re.findall(r'Resource: "\*"', text)) == 1),  # of the key's own policy
    ]:
        if not holds:
            yield f"sam: {what}"
