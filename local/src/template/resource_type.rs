//! What `local` knows of a type of resource: its names, its references, how it is read, and what of it is left out.
//!
//! A type is a constant of the module that serves it: `service/sqs/queue.rs` has `AWS::SQS::Queue`.

use super::error::TemplateError;
use super::fields::Fields;
use super::left_out::LeftOut;
use super::settings::Settings;
use super::stack::Stack;
use super::yaml::YamlNode;

/// A type of resource.
pub(crate) struct ResourceType {
    /// CloudFormation's name of the type.
    pub(crate) name: &'static str,
    /// Where a resource of this type has its physical name from.
    pub(crate) physical_name: PhysicalName,
    /// What `Ref` gives.
    pub(crate) reference: Derivation,
    /// What `Fn::GetAtt` gives, by attribute.
    pub(crate) attributes: &'static [(&'static str, Derivation)],
    /// The section of SAM's Globals that is merged into resources of this type.
    pub(crate) globals: Option<&'static str>,
    /// Whether it gives other resources something (a policy) or is checked against them, so that it is read after them.
    pub(crate) is_dependent: bool,
    /// What `Ref` gives for a resource that SAM makes of one of this type.
    pub(crate) generated: Option<Generated>,
    /// Properties that are left out on purpose. One that is neither read nor listed here fails the start.
    pub(crate) left_out: &'static [LeftOut],
    /// Reads a resource into the stack.
    pub(crate) read: fn(&DeclaredResource<'_>, &mut Stack) -> Result<(), TemplateError>,
}

impl ResourceType {
    /// A type that is referred to by its physical name, has no attributes, and is read before those that depend on others.
    pub(crate) const fn new(
        name: &'static str,
        physical_name: PhysicalName,
        read: fn(&DeclaredResource<'_>, &mut Stack) -> Result<(), TemplateError>,
    ) -> Self {
        Self {
            name,
            physical_name,
            reference: |id| Ok(id.name.clone()),
            attributes: &[],
            globals: None,
            is_dependent: false,
            generated: None,
            left_out: &[],
            read,
        }
    }
}

/// Makes a value of a resource's physical id.
pub(crate) type Derivation = fn(&PhysicalId<'_>) -> Result<String, TemplateError>;

/// Makes the `Ref` of a resource that SAM makes of another one: of the other as written, by the logical id of the one that
/// is made and what it has after the logical id of the other. `None` if SAM makes no such resource.
pub(crate) type Generated = fn(&Settings, &YamlNode, &str, &str) -> Option<String>;

/// Where a resource has its physical name from.
pub(crate) enum PhysicalName {
    /// From this property; CloudFormation makes one up where it is absent.
    Property(&'static str),
    /// AWS makes it up.
    Assigned(fn(&Settings, &str) -> String),
    /// It has none: nothing can refer to it.
    Unnamed,
}

/// What a resource can ask about the template that it is in.
pub(crate) trait References {
    /// What the deployment adds.
    fn settings(&self) -> &Settings;

    /// The value of a resource's property that its physical id is made of.
    fn property(&self, logical_id: &str, property: &str) -> Result<Option<String>, TemplateError>;

    /// What `Ref` gives for a resource.
    fn reference(&self, logical_id: &str, line: usize, path: &str) -> Result<String, TemplateError>;

    /// What `Fn::GetAtt` gives for a resource.
    fn attribute(&self, logical_id: &str, attribute: &str, line: usize, path: &str) -> Result<String, TemplateError>;
}

/// A resource's physical id. It follows from the template and the settings alone, so that everything can be resolved before
/// anything is created, and it is the same at every start.
pub(crate) struct PhysicalId<'a> {
    /// Its name in the template.
    pub(crate) logical_id: &'a str,
    /// Its physical name.
    pub(crate) name: String,
    /// The template that it is in.
    pub(crate) template: &'a dyn References,
}

impl PhysicalId<'_> {
    /// An ARN in the stack's Region and account.
    pub(crate) fn arn(&self, service: &str, resource: &str) -> String {
        self.template.settings().arn(service, resource)
    }

    /// The value of another property that the id is made of.
    pub(crate) fn property(&self, name: &str) -> Result<Option<String>, TemplateError> {
        self.template.property(self.logical_id, name)
    }
}

/// A resource of the template with its properties resolved.
pub(crate) struct DeclaredResource<'a> {
    /// Its name in the template.
    pub(crate) logical_id: &'a str,
    /// Its type.
    pub(crate) resource_type: &'static ResourceType,
    /// The line it starts on.
    pub(crate) line: usize,
    /// The resource as written, for attributes beside Properties.
    pub(crate) node: &'a YamlNode,
    /// Its properties, resolved.
    pub(crate) properties: YamlNode,
    /// The template that it is in.
    pub(crate) template: &'a dyn References,
}

impl DeclaredResource<'_> {
    /// The properties, to be read.
    pub(crate) fn fields(&self) -> Result<Fields<'_>, TemplateError> {
        let path = format!("Resources.{}.Properties", self.logical_id);
        Fields::new(self.resource_type.left_out, &path, &self.properties)
    }

    /// What `Ref` gives for it.
    pub(crate) fn reference(&self) -> Result<String, TemplateError> {
        self.template.reference(self.logical_id, self.line, self.logical_id)
    }

    /// What `Fn::GetAtt` gives for it.
    pub(crate) fn attribute(&self, name: &str) -> Result<String, TemplateError> {
        self.template.attribute(self.logical_id, name, self.line, self.logical_id)
    }

    /// What the deployment adds.
    pub(crate) fn settings(&self) -> &Settings {
        self.template.settings()
    }

    /// An error about the whole resource.
    pub(crate) fn error(&self, reason: impl Into<String>) -> TemplateError {
        TemplateError::at(self.line, &format!("Resources.{}", self.logical_id), reason)
    }
}
