locals {
  active = length(var.stores) > 0
  count  = local.active ? 1 : 0
}

# In files, since the variables of a function hold 4 kB together.
data "archive_file" "configuration" {
  count       = local.count
  type        = "zip"
  output_path = "${path.root}/.terraform/${var.name}-configuration.zip"
  source {
    filename = "root.json"
    content  = var.trust_root
  }
  source {
    filename = "private.json"
    content  = var.key
  }
}

resource "aws_lambda_layer_version" "configuration" {
  count            = local.count
  layer_name       = "${var.name}-configuration"
  region           = var.location
  filename         = data.archive_file.configuration[0].output_path
  source_code_hash = data.archive_file.configuration[0].output_base64sha256
}

resource "aws_cloudwatch_log_group" "function" {
  count             = local.count
  name              = "/aws/lambda/${var.name}-compiler"
  region            = var.location
  retention_in_days = 400
}

resource "aws_lambda_function" "compiler" {
  count                          = local.count
  function_name                  = "${var.name}-compiler"
  region                         = var.location
  role                           = aws_iam_role.function[0].arn
  filename                       = var.package
  source_code_hash               = filebase64sha256(var.package)
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = ["x86_64"]
  memory_size                    = 512
  timeout                        = 60
  reserved_concurrent_executions = var.concurrency
  layers                         = [aws_lambda_layer_version.configuration[0].arn]
  environment {
    variables = merge(var.environment, {
      AECP_STORE = join(",", var.stores)
      AECP_ROOT  = "/opt/root.json"
      AECP_KEY   = "/opt/private.json"
    })
  }
  lifecycle {
    precondition {
      condition     = var.package != "" && var.trust_root != "" && var.key != ""
      error_message = "A function needs package, trust_root and key."
    }
    precondition {
      condition     = try(var.stores[0], "") == "s3://${local.policies}"
      error_message = "The first of stores must be this module's own: the function reads uploads there."
    }
  }
  depends_on = [aws_cloudwatch_log_group.function, aws_iam_role_policy.function]
}

# What fails is tried twice more and then kept.
resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name}-dead-letters"
  region                    = var.location
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_lambda_function_event_invoke_config" "compiler" {
  count                        = local.count
  function_name                = aws_lambda_function.compiler[0].function_name
  region                       = var.location
  maximum_event_age_in_seconds = 21600
  maximum_retry_attempts       = 2
  destination_config {
    on_failure {
      destination = aws_sqs_queue.dead_letters.arn
    }
  }
}

resource "aws_lambda_permission" "bucket" {
  count          = local.count
  function_name  = aws_lambda_function.compiler[0].function_name
  region         = var.location
  action         = "lambda:InvokeFunction"
  principal      = "s3.amazonaws.com"
  source_arn     = aws_s3_bucket.policies.arn
  source_account = data.aws_caller_identity.current.account_id
}

# Once a day it looks when each channel's release expires, and logs a warning of those that are to be renewed.
resource "aws_cloudwatch_event_rule" "daily" {
  count               = local.count
  name                = "${var.name}-daily"
  region              = var.location
  schedule_expression = "rate(1 day)"
}

resource "aws_cloudwatch_event_target" "daily" {
  count  = local.count
  rule   = aws_cloudwatch_event_rule.daily[0].name
  region = var.location
  arn    = aws_lambda_function.compiler[0].arn
  input  = jsonencode({ check = "channels" })
}

resource "aws_lambda_permission" "daily" {
  count         = local.count
  function_name = aws_lambda_function.compiler[0].function_name
  region        = var.location
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.daily[0].arn
}

# Everybody who is to know subscribes to this topic: it tells the key of each new report.
resource "aws_sns_topic" "reports" {
  name   = "${var.name}-reports"
  region = var.location
}

data "aws_iam_policy_document" "reports_topic" {
  statement {
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.reports.arn]
    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_s3_bucket.policies.arn]
    }
  }
}

resource "aws_sns_topic_policy" "reports" {
  arn    = aws_sns_topic.reports.arn
  region = var.location
  policy = data.aws_iam_policy_document.reports_topic.json
}

resource "aws_s3_bucket_notification" "policies" {
  bucket = aws_s3_bucket.policies.id
  region = var.location
  dynamic "lambda_function" {
    for_each = aws_lambda_function.compiler
    content {
      lambda_function_arn = lambda_function.value.arn
      events              = ["s3:ObjectCreated:*"]
      filter_prefix       = "inbox/"
    }
  }
  topic {
    topic_arn     = aws_sns_topic.reports.arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = "reports/"
    filter_suffix = ".json"
  }
  depends_on = [aws_lambda_permission.bucket, aws_sns_topic_policy.reports]
}
