locals {
  active = length(var.stores) > 0
  count  = local.active ? 1 : 0
}

resource "google_cloud_run_v2_service" "compiler" {
  count               = local.count
  name                = "${var.name}-compiler"
  location            = var.location
  ingress             = "INGRESS_TRAFFIC_INTERNAL_ONLY"
  deletion_protection = false
  template {
    service_account                  = google_service_account.function[0].email
    timeout                          = "60s"
    max_instance_request_concurrency = 1
    scaling {
      min_instance_count = 0
      max_instance_count = var.concurrency
    }
    containers {
      image = var.package
      resources {
        limits   = { cpu = "1", memory = "512Mi" }
        cpu_idle = true
      }
      dynamic "env" {
        for_each = nonsensitive(toset(keys(var.environment)))
        content {
          name  = env.value
          value = var.environment[env.value]
        }
      }
      env {
        name  = "AECP_STORE"
        value = join(",", var.stores)
      }
      env {
        name  = "AECP_ROOT"
        value = var.trust_root
      }
      env {
        name  = "AECP_KEY"
        value = var.key
      }
    }
  }
  lifecycle {
    precondition {
      condition     = var.package != "" && var.trust_root != "" && var.key != ""
      error_message = "A function needs package, trust_root and key."
    }
    precondition {
      condition     = try(var.stores[0], "") == "gs://${var.name}-policies"
      error_message = "The first of stores must be this module's own: the function reads uploads there."
    }
  }
  depends_on = [google_storage_bucket_iam_member.function, google_kms_crypto_key_iam_member.function]
}

data "google_storage_project_service_account" "storage" {}

# What comes below inbox/, to the function; what it fails on for some hours, to the dead letters.
resource "google_pubsub_topic" "inbox" {
  name = "${var.name}-inbox"
}

resource "google_pubsub_topic_iam_member" "inbox" {
  topic  = google_pubsub_topic.inbox.id
  role   = "roles/pubsub.publisher"
  member = data.google_storage_project_service_account.storage.member
}

resource "google_storage_notification" "inbox" {
  bucket             = google_storage_bucket.policies.name
  topic              = google_pubsub_topic.inbox.id
  payload_format     = "JSON_API_V1"
  event_types        = ["OBJECT_FINALIZE"]
  object_name_prefix = "inbox/"
  depends_on         = [google_pubsub_topic_iam_member.inbox]
}

resource "google_pubsub_subscription" "inbox" {
  count                = local.count
  name                 = "${var.name}-inbox"
  topic                = google_pubsub_topic.inbox.id
  ack_deadline_seconds = 120
  expiration_policy {
    ttl = ""
  }
  push_config {
    push_endpoint = google_cloud_run_v2_service.compiler[0].uri
    no_wrapper {
      write_metadata = false
    }
    oidc_token {
      service_account_email = google_service_account.trigger[0].email
      audience              = google_cloud_run_v2_service.compiler[0].uri
    }
  }
  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = 20
  }
}

# Once a day it looks when each channel's release expires, and logs a warning of those that are to be renewed.
resource "google_cloud_scheduler_job" "daily" {
  count     = local.count
  name      = "${var.name}-daily"
  region    = var.location
  schedule  = "0 6 * * *"
  time_zone = "Etc/UTC"
  pubsub_target {
    topic_name = google_pubsub_topic.inbox.id
    data       = base64encode(jsonencode({ check = "channels" }))
  }
}

resource "google_pubsub_topic" "dead_letters" {
  name = "${var.name}-dead-letters"
}

resource "google_pubsub_subscription" "dead_letters" {
  name                       = "${var.name}-dead-letters"
  topic                      = google_pubsub_topic.dead_letters.id
  message_retention_duration = "604800s"
  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_topic_iam_member" "dead_letters" {
  topic  = google_pubsub_topic.dead_letters.id
  role   = "roles/pubsub.publisher"
  member = "serviceAccount:service-${local.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_subscription_iam_member" "dead_letters" {
  count        = local.count
  subscription = google_pubsub_subscription.inbox[0].name
  role         = "roles/pubsub.subscriber"
  member       = "serviceAccount:service-${local.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

# Everybody who is to know subscribes to this topic: it tells the key of each new report.
resource "google_pubsub_topic" "reports" {
  name = "${var.name}-reports"
}

resource "google_pubsub_topic_iam_member" "reports" {
  topic  = google_pubsub_topic.reports.id
  role   = "roles/pubsub.publisher"
  member = data.google_storage_project_service_account.storage.member
}

resource "google_storage_notification" "reports" {
  bucket             = google_storage_bucket.policies.name
  topic              = google_pubsub_topic.reports.id
  payload_format     = "JSON_API_V1"
  event_types        = ["OBJECT_FINALIZE"]
  object_name_prefix = "reports/"
  depends_on         = [google_pubsub_topic_iam_member.reports]
}
