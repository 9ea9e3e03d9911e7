output "store" {
  description = "URL of the store"
  value       = "s3://${aws_s3_bucket.policies.id}"
}

output "audit_store" {
  description = "URL for the enforcers' AECP_AUDIT_STORE"
  value       = "s3://${aws_s3_bucket.audit.id}"
}

output "openings_store" {
  description = "URL for the enforcers' AECP_AUDIT_OPENINGS"
  value       = "s3://${aws_s3_bucket.policies.id}"
}

output "kms_key" {
  description = "What to give aecp keygen --kms"
  value       = "awskms:///${aws_kms_key.judicial.arn}"
}

output "function" {
  description = "The function, or null where there is none"
  value       = one(aws_lambda_function.compiler[*].arn)
}

output "reports" {
  description = "The topic that tells of each new report"
  value       = aws_sns_topic.reports.arn
}

output "alarms" {
  description = "Where alarms are raised"
  value       = aws_sns_topic.alarms.arn
}

output "dead_letters" {
  description = "Where events are that were given up"
  value       = aws_sqs_queue.dead_letters.url
}

output "replica_environment" {
  description = "Variables with which a function in another cloud writes this store; empty without replica_writer"
  sensitive   = true
  value = var.replica_writer ? {
    AWS_REGION            = var.location
    AWS_ACCESS_KEY_ID     = aws_iam_access_key.replica[0].id
    AWS_SECRET_ACCESS_KEY = aws_iam_access_key.replica[0].secret
  } : {}
}
