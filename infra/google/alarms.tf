resource "google_monitoring_notification_channel" "alarms" {
  display_name = "${var.name}-alarms"
  type         = "email"
  labels       = { email_address = var.alarm_email }
}

resource "google_monitoring_alert_policy" "errors" {
  count                 = local.count
  display_name          = "${var.name}-errors"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.alarms.id]
  documentation {
    content = "The compiler failed on an event, which comes again: docs/operation.md"
  }
  conditions {
    display_name = "answers of 500 and above"
    condition_threshold {
      filter          = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${google_cloud_run_v2_service.compiler[0].name}\" AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"5xx\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_SUM"
      }
    }
  }
}

resource "google_monitoring_alert_policy" "dead_letters" {
  display_name          = "${var.name}-dead-letters"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.alarms.id]
  documentation {
    content = "An upload was given up and has no report: docs/operation.md"
  }
  conditions {
    display_name = "messages in dead letters"
    condition_threshold {
      filter          = "resource.type = \"pubsub_subscription\" AND resource.labels.subscription_id = \"${google_pubsub_subscription.dead_letters.name}\" AND metric.type = \"pubsub.googleapis.com/subscription/num_undelivered_messages\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }
}

# A replica that was not written, or a release that nobody renews, is no error of the function, but somebody has to know.
resource "google_monitoring_alert_policy" "warnings" {
  count                 = local.count
  display_name          = "${var.name}-warnings"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.alarms.id]
  documentation {
    content = "The compiler logged a warning: a replica was not written, or a release is to be renewed: docs/operation.md"
  }
  conditions {
    display_name = "warnings"
    condition_matched_log {
      filter = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${google_cloud_run_v2_service.compiler[0].name}\" AND jsonPayload.level = \"warn\""
    }
  }
  alert_strategy {
    notification_rate_limit {
      period = "300s"
    }
  }
}
