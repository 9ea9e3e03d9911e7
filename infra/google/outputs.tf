output "store" {
  description = "URL of the store"
  value       = "gs://${google_storage_bucket.policies.name}"
}

output "audit_store" {
  description = "URL for the enforcers' AECP_AUDIT_STORE"
  value       = "gs://${google_storage_bucket.audit.name}"
}

output "openings_store" {
  description = "URL for the enforcers' AECP_AUDIT_OPENINGS"
  value       = "gs://${google_storage_bucket.policies.name}"
}

output "kms_key" {
  description = "What to give aecp keygen --kms"
  value       = "gcpkms://${google_kms_crypto_key.judicial.id}"
}

output "function" {
  description = "The function, or null where there is none"
  value       = one(google_cloud_run_v2_service.compiler[*].id)
}

output "reports" {
  description = "The topic that tells of each new report"
  value       = google_pubsub_topic.reports.id
}

output "alarms" {
  description = "Where alarms are raised"
  value       = google_monitoring_notification_channel.alarms.id
}

output "dead_letters" {
  description = "Where events are that were given up"
  value       = google_pubsub_subscription.dead_letters.id
}

output "replica_environment" {
  description = "Variables with which a function in another cloud writes this store; empty without replica_writer"
  sensitive   = true
  value = var.replica_writer ? {
    GOOGLE_SERVICE_ACCOUNT_KEY = base64decode(google_service_account_key.replica[0].private_key)
  } : {}
}
