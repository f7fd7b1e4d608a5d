import Caesura
import CaesuraSchemas
import Sessions

// What `swift package schema` asks for: the regions as they are now.
let store = Store()
_ = try Sessions(in: store)
SchemaRegistry.print(store.regions)
