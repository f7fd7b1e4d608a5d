import CaesuraSchemas
import Sessions

// What `swift package schema` asks for: the regions as they are now.
SchemaRegistry.main { store in _ = try Sessions(in: store) }
