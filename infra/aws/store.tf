# Two buckets: the store, and the logs of decisions, which nobody can change or delete.

locals {
  policies = "${var.name}-policies"
  audit    = "${var.name}-audit"
  buckets  = { policies = aws_s3_bucket.policies, audit = aws_s3_bucket.audit }
}

resource "aws_s3_bucket" "policies" {
  bucket = local.policies
  region = var.location
}

resource "aws_s3_bucket" "audit" {
  bucket              = local.audit
  region              = var.location
  object_lock_enabled = true
}

resource "aws_s3_bucket_versioning" "bucket" {
  for_each = local.buckets
  bucket   = each.value.id
  region   = var.location
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_public_access_block" "bucket" {
  for_each                = local.buckets
  bucket                  = each.value.id
  region                  = var.location
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "bucket" {
  for_each = local.buckets
  bucket   = each.value.id
  region   = var.location
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

data "aws_iam_policy_document" "tls_only" {
  for_each = local.buckets
  statement {
    sid     = "TlsOnly"
    effect  = "Deny"
    actions = ["s3:*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    resources = [each.value.arn, "${each.value.arn}/*"]
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "bucket" {
  for_each   = local.buckets
  bucket     = each.value.id
  region     = var.location
  policy     = data.aws_iam_policy_document.tls_only[each.key].json
  depends_on = [aws_s3_bucket_public_access_block.bucket]
}

# The head of each log is written anew; its older versions are kept like all else.
resource "aws_s3_bucket_object_lock_configuration" "audit" {
  bucket = aws_s3_bucket.audit.id
  region = var.location
  rule {
    default_retention {
      mode = var.lock_audit ? "COMPLIANCE" : "GOVERNANCE"
      days = var.retention_days
    }
  }
  depends_on = [aws_s3_bucket_versioning.bucket]
}

resource "aws_s3_bucket_lifecycle_configuration" "audit" {
  bucket = aws_s3_bucket.audit.id
  region = var.location
  rule {
    id     = "retention"
    status = "Enabled"
    filter {}
    expiration {
      days = var.retention_days + 1
    }
    # Versions that are still locked stay.
    noncurrent_version_expiration {
      noncurrent_days = 1
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
  depends_on = [aws_s3_bucket_versioning.bucket]
}

resource "aws_s3_bucket_lifecycle_configuration" "policies" {
  bucket = aws_s3_bucket.policies.id
  region = var.location
  rule {
    id     = "inbox"
    status = "Enabled"
    filter {
      prefix = "inbox/"
    }
    expiration {
      days = var.inbox_days
    }
    noncurrent_version_expiration {
      noncurrent_days = var.inbox_days
    }
  }
  # What `aecp audit erase` takes out of openings must not go on in an older version.
  rule {
    id     = "openings"
    status = "Enabled"
    filter {
      prefix = "openings/"
    }
    expiration {
      days = var.retention_days
    }
    noncurrent_version_expiration {
      noncurrent_days = 1
    }
  }
  rule {
    id     = "parts"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
  depends_on = [aws_s3_bucket_versioning.bucket]
}

# The key that wraps the judicial key.
resource "aws_kms_key" "judicial" {
  description             = "Wraps the judicial key of ${var.name}"
  region                  = var.location
  enable_key_rotation     = true
  deletion_window_in_days = 30
}

resource "aws_kms_alias" "judicial" {
  name          = "alias/${var.name}"
  region        = var.location
  target_key_id = aws_kms_key.judicial.key_id
}
