# Three buckets: the store, the logs of decisions, and a copy of the logs that nobody can change or delete. Google's
# retention knows no versions: a bucket that has it does not let an object be written anew, and the head of a log is.

data "google_project" "current" {}

locals {
  project = data.google_project.current.project_id
  number  = data.google_project.current.number
}

resource "google_storage_bucket" "policies" {
  name                        = "${var.name}-policies"
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  versioning {
    enabled = true
  }
  # Versions keep what was overwritten; and what is erased below openings/ must not come back.
  soft_delete_policy {
    retention_duration_seconds = 0
  }
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = var.inbox_days
      matches_prefix = ["inbox/"]
      with_state     = "ANY"
    }
  }
  # What `aecp audit erase` takes out of openings must not go on in an older version.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 1
      matches_prefix             = ["openings/"]
    }
  }
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = var.retention_days
      matches_prefix = ["openings/"]
      with_state     = "ANY"
    }
  }
}

resource "google_storage_bucket" "audit" {
  name                        = "${var.name}-audit"
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  versioning {
    enabled = true
  }
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age        = var.retention_days + 1
      with_state = "ANY"
    }
  }
}

resource "google_storage_bucket" "audit_locked" {
  name                        = "${var.name}-audit-locked"
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  retention_policy {
    retention_period = var.retention_days * 86400
    is_locked        = var.lock_audit
  }
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = var.retention_days + 1
    }
  }
}

# Each hour what is new; what is there already stays. Every head is there as checkpoints/<size>; the object checkpoint stays
# the first one.
resource "google_storage_transfer_job" "audit" {
  description = "${var.name}: logs of decisions into the locked bucket"
  transfer_spec {
    gcs_data_source {
      bucket_name = google_storage_bucket.audit.name
    }
    gcs_data_sink {
      bucket_name = google_storage_bucket.audit_locked.name
    }
    transfer_options {
      overwrite_when = "NEVER"
    }
  }
  schedule {
    schedule_start_date {
      year  = 2026
      month = 1
      day   = 1
    }
    repeat_interval = "3600s"
  }
  depends_on = [google_storage_bucket_iam_member.transfer_source, google_storage_bucket_iam_member.transfer_sink]
}

data "google_storage_transfer_project_service_account" "transfer" {}

resource "google_storage_bucket_iam_member" "transfer_source" {
  for_each = toset(["roles/storage.objectViewer", "roles/storage.legacyBucketReader"])
  bucket   = google_storage_bucket.audit.name
  role     = each.value
  member   = data.google_storage_transfer_project_service_account.transfer.member
}

resource "google_storage_bucket_iam_member" "transfer_sink" {
  for_each = toset(["roles/storage.objectCreator", "roles/storage.objectViewer", "roles/storage.legacyBucketReader"])
  bucket   = google_storage_bucket.audit_locked.name
  role     = each.value
  member   = data.google_storage_transfer_project_service_account.transfer.member
}

# The key that wraps the judicial key.
resource "google_kms_key_ring" "judicial" {
  name     = var.name
  location = var.location
}

resource "google_kms_crypto_key" "judicial" {
  name            = "judicial"
  key_ring        = google_kms_key_ring.judicial.id
  purpose         = "ENCRYPT_DECRYPT"
  rotation_period = "7776000s"
  lifecycle {
    prevent_destroy = true
  }
}
