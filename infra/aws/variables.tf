# The same file in infra/aws, infra/google and infra/azure; infra/check compares them. infra/README.md has them as a table.

variable "name" {
  description = "What the names of all that is made begin with. Stores are named by it for the whole world, so choose one that is yours"
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9]{2,13}$", var.name))
    error_message = "The name must be 3 to 14 small letters and digits and begin with a letter."
  }
}

variable "location" {
  description = "The region"
  type        = string
}

variable "stores" {
  description = "URLs of the stores that the function publishes to, this module's own first. Empty: this store is only a replica, and there is no function and no trigger"
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for url in var.stores : can(regex("^(s3|gs|az)://[^,\\s]+$", url))])
    error_message = "Stores are URLs that begin with s3://, gs:// or az://."
  }
}

variable "package" {
  description = "The function: path of the zip that infra/container/package made, for Google the URL of the container image. Needed where there are stores"
  type        = string
  default     = ""
}

variable "trust_root" {
  description = "The enforcers' trust root, the text of root.json"
  type        = string
  default     = ""
}

variable "key" {
  description = "The judicial key, wrapped by the key of this module: the text of private.json. A PEM in clear would stand in Terraform's state, and is refused"
  type        = string
  default     = ""
  validation {
    condition     = var.key == "" || can(jsondecode(var.key))
    error_message = "The key must be wrapped (private.json of aecp keygen --kms), not a PEM."
  }
}

variable "environment" {
  description = "Further variables of the function: AECP_EXPIRES, AECP_STALE_AFTER, AECP_NOTIFY, and what the stores of other clouds need (their modules' output replica_environment)"
  type        = map(string)
  default     = {}
  sensitive   = true
}

variable "uploaders" {
  description = "Who may upload a set and read its reports: the set's name to a principal (AWS: name of an IAM role; Google: member, such as group:x@y.z; Azure: object id)"
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for set in keys(var.uploaders) : can(regex("^[a-z0-9._-]{1,64}$", set))])
    error_message = "A set's name has the characters a-z 0-9 - _ . only."
  }
}

variable "enforcers" {
  description = "Who may read releases and write logs of decisions: the log's name, or what it begins with before a hyphen, to a principal (as in uploaders)"
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for log in keys(var.enforcers) : can(regex("^[a-z0-9._-]{1,64}$", log))])
    error_message = "A log's name has the characters a-z 0-9 - _ . only."
  }
}

variable "replica_writer" {
  description = "Whether a function in another cloud writes this store: makes an identity for it, whose credentials are in the output replica_environment"
  type        = bool
  default     = false
}

variable "retention_days" {
  description = "For how many days logs of decisions can neither be changed nor deleted; after them they are deleted"
  type        = number
  default     = 2557
  validation {
    condition     = var.retention_days >= 2557
    error_message = "Logs of decisions are kept for at least seven years, which are 2557 days."
  }
}

variable "lock_audit" {
  description = "Whether that can never be undone, by nobody, the owner of the account included. Set it when all else is as it should be"
  type        = bool
  default     = false
}

variable "inbox_days" {
  description = "After how many days uploads are deleted; what became of them stays in reports/ and legislation/"
  type        = number
  default     = 30
}

variable "concurrency" {
  description = "How many uploads are compiled at the same time; others wait"
  type        = number
  default     = 5
}

variable "alarm_email" {
  description = "Where alarms go"
  type        = string
}
