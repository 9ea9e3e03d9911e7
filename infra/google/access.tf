# Who may do what. To write an object anew one must be allowed to delete it; nobody here may for what is never changed.

locals {
  objects = "projects/_/buckets/${google_storage_bucket.policies.name}/objects/"
  logs    = "projects/_/buckets/${google_storage_bucket.audit.name}/objects/"
  below   = "resource.name.startsWith(\"${local.objects}%s\")"

  published = join(" || ", [for prefix in ["blobs", "releases", "legislation", "channels", "root", "reports"] : format(local.below, "${prefix}/")])
  replaced  = join(" || ", [for prefix in ["channels", "reports"] : format(local.below, "${prefix}/")])
  served    = join(" || ", [for prefix in ["blobs", "releases", "channels", "root"] : format(local.below, "${prefix}/")])

  # What a writer of the store is given: role to where.
  writer = { get = local.published, create = local.published, replace = local.replaced }

  function = { for role, where in local.writer : role => role == "get" ? "${where} || ${format(local.below, "inbox/")}" : where }

  uploader = merge([for set, member in var.uploaders : {
    "${set}/create" = { member = member, role = "create", where = format(local.below, "inbox/${set}/") }
    "${set}/get"    = { member = member, role = "get", where = format(local.below, "reports/${set}/") }
    "${set}/list" = {
      member = member, role = "list",
      where  = "api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"\").startsWith(\"reports/${set}/\")"
    }
  }]...)

  # Of a log's own, in the one bucket and the other.
  own = { for log in keys(var.enforcers) : log => {
    log      = "(resource.name.startsWith(\"${local.logs}audit/${log}/\") || resource.name.startsWith(\"${local.logs}audit/${log}-\"))"
    openings = "(${format(local.below, "openings/${log}/")} || ${format(local.below, "openings/${log}-")})"
  } }

  enforcer = merge([for log, member in var.enforcers : {
    "${log}/get"      = { member = member, role = "get", where = local.served }
    "${log}/openings" = { member = member, role = "get", where = local.own[log].openings }
    "${log}/open"     = { member = member, role = "create", where = local.own[log].openings }
    "${log}/reopen"   = { member = member, role = "replace", where = local.own[log].openings }
  }]...)

  recorder = merge([for log, member in var.enforcers : {
    "${log}/get"    = { member = member, role = "get", where = local.own[log].log }
    "${log}/create" = { member = member, role = "create", where = local.own[log].log }
    "${log}/head"   = { member = member, role = "replace", where = "${local.own[log].log} && resource.name.endsWith(\"/checkpoint\")" }
  }]...)
}

resource "google_project_iam_custom_role" "objects" {
  for_each    = { get = "get", create = "create", replace = "delete", list = "list" }
  role_id     = "${var.name}_${each.key}"
  title       = "AECP ${var.name}: ${each.key} objects"
  permissions = ["storage.objects.${each.value}"]
}

resource "google_service_account" "function" {
  count        = local.count
  account_id   = "${var.name}-compiler"
  display_name = "AECP: the compiler"
}

resource "google_storage_bucket_iam_member" "function" {
  for_each = local.active ? local.function : {}
  bucket   = google_storage_bucket.policies.name
  role     = google_project_iam_custom_role.objects[each.key].id
  member   = google_service_account.function[0].member
  condition {
    title      = each.key
    expression = each.value
  }
}

# Without it Google says 403 of what is not there yet, instead of 404.
resource "google_storage_bucket_iam_member" "function_list" {
  count  = local.count
  bucket = google_storage_bucket.policies.name
  role   = google_project_iam_custom_role.objects["list"].id
  member = google_service_account.function[0].member
}

resource "google_kms_crypto_key_iam_member" "function" {
  count         = local.count
  crypto_key_id = google_kms_crypto_key.judicial.id
  role          = "roles/cloudkms.cryptoKeyDecrypter"
  member        = google_service_account.function[0].member
}

# Who wakes the function.
resource "google_service_account" "trigger" {
  count        = local.count
  account_id   = "${var.name}-trigger"
  display_name = "AECP: the compiler's events"
}

resource "google_cloud_run_v2_service_iam_member" "trigger" {
  count    = local.count
  name     = google_cloud_run_v2_service.compiler[0].name
  location = var.location
  role     = "roles/run.invoker"
  member   = google_service_account.trigger[0].member
}

resource "google_storage_bucket_iam_member" "uploader" {
  for_each = local.uploader
  bucket   = google_storage_bucket.policies.name
  role     = google_project_iam_custom_role.objects[each.value.role].id
  member   = each.value.member
  condition {
    title      = each.key
    expression = each.value.where
  }
}

resource "google_storage_bucket_iam_member" "enforcer" {
  for_each = local.enforcer
  bucket   = google_storage_bucket.policies.name
  role     = google_project_iam_custom_role.objects[each.value.role].id
  member   = each.value.member
  condition {
    title      = each.key
    expression = each.value.where
  }
}

resource "google_storage_bucket_iam_member" "recorder" {
  for_each = local.recorder
  bucket   = google_storage_bucket.audit.name
  role     = google_project_iam_custom_role.objects[each.value.role].id
  member   = each.value.member
  condition {
    title      = each.key
    expression = each.value.where
  }
}

resource "google_storage_bucket_iam_member" "enforcer_list" {
  for_each = toset(values(var.enforcers))
  bucket   = google_storage_bucket.policies.name
  role     = google_project_iam_custom_role.objects["list"].id
  member   = each.value
}

resource "google_storage_bucket_iam_member" "recorder_list" {
  for_each = toset(values(var.enforcers))
  bucket   = google_storage_bucket.audit.name
  role     = google_project_iam_custom_role.objects["list"].id
  member   = each.value
}

# For a function in another cloud, which has no other way in.
resource "google_service_account" "replica" {
  count        = var.replica_writer ? 1 : 0
  account_id   = "${var.name}-replica"
  display_name = "AECP: a compiler in another cloud"
}

resource "google_storage_bucket_iam_member" "replica" {
  for_each = var.replica_writer ? local.writer : {}
  bucket   = google_storage_bucket.policies.name
  role     = google_project_iam_custom_role.objects[each.key].id
  member   = google_service_account.replica[0].member
  condition {
    title      = each.key
    expression = each.value
  }
}

resource "google_storage_bucket_iam_member" "replica_list" {
  count  = var.replica_writer ? 1 : 0
  bucket = google_storage_bucket.policies.name
  role   = google_project_iam_custom_role.objects["list"].id
  member = google_service_account.replica[0].member
}

resource "google_service_account_key" "replica" {
  count              = var.replica_writer ? 1 : 0
  service_account_id = google_service_account.replica[0].name
}
