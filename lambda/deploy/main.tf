# A function in Python behind the AECP extension, with Terraform. Before it:
#   lambda/layer/build x86_64
# and the trust root, as `aecp keygen` wrote it, into the layer: zip target/layer/aecp-extension-….zip aecp/root.json

variable "layer_zip" {
  description = "Path of the layer"
  type        = string
}

variable "function_zip" {
  description = "Path of the function's package"
  type        = string
}

variable "policy_bucket" {
  description = "Bucket with the releases"
  type        = string
}

variable "audit_bucket" {
  description = "Bucket for the log of decisions, below the prefix audit/"
  type        = string
}

variable "channel" {
  description = "Channel of releases to follow"
  type        = string
  default     = "prod"
}

data "aws_partition" "current" {}

resource "aws_lambda_layer_version" "aecp" {
  layer_name               = "aecp-extension"
  filename                 = var.layer_zip
  source_code_hash         = filebase64sha256(var.layer_zip)
  compatible_architectures = ["x86_64"]
  license_info             = "Apache-2.0"
}

resource "aws_lambda_function" "function" {
  function_name    = "guarded"
  role             = aws_iam_role.function.arn
  filename         = var.function_zip
  source_code_hash = filebase64sha256(var.function_zip)
  handler          = "app.handler"
  runtime          = "python3.13"
  architectures    = ["x86_64"]
  memory_size      = 256
  timeout          = 10
  layers           = [aws_lambda_layer_version.aecp.arn]

  environment {
    variables = {
      AWS_LAMBDA_EXEC_WRAPPER = "/opt/aecp-wrapper"
      AECP_STORE              = "s3://${var.policy_bucket}"
      AECP_CHANNEL            = var.channel
      AECP_AUDIT_STORE        = "s3://${var.audit_bucket}"
    }
  }
}

resource "aws_iam_role" "function" {
  name = "guarded"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "logs" {
  role       = aws_iam_role.function.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

# In the function's role, since extensions act with it.
resource "aws_iam_role_policy" "aecp" {
  name = "aecp"
  role = aws_iam_role.function.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadReleases"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${var.policy_bucket}/*"
      },
      {
        Sid      = "WriteDecisions"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject"]
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${var.audit_bucket}/audit/*"
      },
      # Without it S3 says 403 of what is not there yet, instead of 404.
      {
        Sid    = "TellWhatIsMissing"
        Effect = "Allow"
        Action = "s3:ListBucket"
        Resource = [
          "arn:${data.aws_partition.current.partition}:s3:::${var.policy_bucket}",
          "arn:${data.aws_partition.current.partition}:s3:::${var.audit_bucket}",
        ]
      },
    ]
  })
}
