# Who may do what. Nobody here may delete anything.

data "aws_caller_identity" "current" {}

locals {
  store = aws_s3_bucket.policies.arn
  log   = aws_s3_bucket.audit.arn
  # All of a store but uploads, logs and openings.
  published = [for prefix in ["blobs", "releases", "legislation", "channels", "root", "reports"] : "${local.store}/${prefix}/*"]
}

data "aws_iam_policy_document" "lambda" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "function" {
  count              = local.count
  name               = "${var.name}-compiler"
  assume_role_policy = data.aws_iam_policy_document.lambda.json
}

data "aws_iam_policy_document" "writer" {
  statement {
    sid       = "ReadAndWriteWhatIsPublished"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = local.published
  }
  # Without it S3 says 403 of what is not there yet, instead of 404.
  statement {
    sid       = "List"
    actions   = ["s3:ListBucket"]
    resources = [local.store]
  }
}

data "aws_iam_policy_document" "function" {
  count                   = local.count
  source_policy_documents = [data.aws_iam_policy_document.writer.json]
  statement {
    sid       = "ReadUploads"
    actions   = ["s3:GetObject"]
    resources = ["${local.store}/inbox/*"]
  }
  statement {
    sid       = "UnwrapTheKey"
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.judicial.arn]
  }
  statement {
    sid       = "KeepWhatFailed"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.dead_letters.arn]
  }
  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.function[0].arn}:*"]
  }
}

resource "aws_iam_role_policy" "function" {
  count  = local.count
  name   = "compiler"
  role   = aws_iam_role.function[0].id
  policy = data.aws_iam_policy_document.function[0].json
}

data "aws_iam_policy_document" "uploader" {
  for_each = var.uploaders
  statement {
    sid       = "Upload"
    actions   = ["s3:PutObject"]
    resources = ["${local.store}/inbox/${each.key}/*"]
  }
  statement {
    sid       = "ReadReports"
    actions   = ["s3:GetObject"]
    resources = ["${local.store}/reports/${each.key}/*"]
  }
  statement {
    sid       = "ListReports"
    actions   = ["s3:ListBucket"]
    resources = [local.store]
    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["reports/${each.key}/*"]
    }
  }
}

resource "aws_iam_role_policy" "uploader" {
  for_each = var.uploaders
  name     = "${var.name}-upload-${each.key}"
  role     = each.value
  policy   = data.aws_iam_policy_document.uploader[each.key].json
}

data "aws_iam_policy_document" "enforcer" {
  for_each = var.enforcers
  statement {
    sid       = "ReadReleases"
    actions   = ["s3:GetObject"]
    resources = [for prefix in ["blobs", "releases", "channels", "root"] : "${local.store}/${prefix}/*"]
  }
  statement {
    sid     = "WriteDecisions"
    actions = ["s3:GetObject", "s3:PutObject"]
    resources = [
      "${local.log}/audit/${each.key}/*", "${local.log}/audit/${each.key}-*",
      "${local.store}/openings/${each.key}/*", "${local.store}/openings/${each.key}-*",
    ]
  }
  # Without it S3 says 403 of what is not there yet, instead of 404.
  statement {
    sid       = "List"
    actions   = ["s3:ListBucket"]
    resources = [local.store, local.log]
  }
}

resource "aws_iam_role_policy" "enforcer" {
  for_each = var.enforcers
  name     = "${var.name}-enforce-${each.key}"
  role     = each.value
  policy   = data.aws_iam_policy_document.enforcer[each.key].json
}

# For a function in another cloud, which has no other way in.
resource "aws_iam_user" "replica" {
  count = var.replica_writer ? 1 : 0
  name  = "${var.name}-replica"
}

resource "aws_iam_user_policy" "replica" {
  count  = var.replica_writer ? 1 : 0
  name   = "replica"
  user   = aws_iam_user.replica[0].name
  policy = data.aws_iam_policy_document.writer.json
}

resource "aws_iam_access_key" "replica" {
  count = var.replica_writer ? 1 : 0
  user  = aws_iam_user.replica[0].name
}
