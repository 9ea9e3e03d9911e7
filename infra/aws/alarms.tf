resource "aws_sns_topic" "alarms" {
  name   = "${var.name}-alarms"
  region = var.location
}

resource "aws_sns_topic_subscription" "alarms" {
  topic_arn = aws_sns_topic.alarms.arn
  region    = var.location
  protocol  = "email"
  endpoint  = var.alarm_email
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  count               = local.count
  alarm_name          = "${var.name}-errors"
  alarm_description   = "The compiler failed on an event, which comes again: docs/operation.md"
  region              = var.location
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = aws_lambda_function.compiler[0].function_name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  alarm_name          = "${var.name}-dead-letters"
  alarm_description   = "An upload was given up and has no report: docs/operation.md"
  region              = var.location
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead_letters.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
}

# A replica that was not written, or a release that nobody renews, is no error of the function, but somebody has to know.
resource "aws_cloudwatch_log_metric_filter" "warnings" {
  count          = local.count
  name           = "${var.name}-warnings"
  region         = var.location
  log_group_name = aws_cloudwatch_log_group.function[0].name
  pattern        = "{ $.level = \"warn\" }"
  metric_transformation {
    namespace     = "AECP"
    name          = "${var.name}-warnings"
    value         = "1"
    default_value = "0"
  }
}

resource "aws_cloudwatch_metric_alarm" "warnings" {
  count               = local.count
  alarm_name          = "${var.name}-warnings"
  alarm_description   = "The compiler logged a warning: a replica was not written, or a release is to be renewed: docs/operation.md"
  region              = var.location
  namespace           = "AECP"
  metric_name         = aws_cloudwatch_log_metric_filter.warnings[0].metric_transformation[0].name
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
}
