// Prints the rows of Parquet files as JSON lines, and first the columns with their
// types: node read.mjs FILE…
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'

const plain = (_, value) => (typeof value === 'bigint' ? Number(value) : value)

for (const path of process.argv.slice(2)) {
  const file = await asyncBufferFromFile(path)
  const metadata = await parquetMetadataAsync(file)
  const columns = Object.fromEntries(metadata.schema.slice(1).map((c) => [c.name, c.logical_type?.type ?? c.type]))
  const codecs = [...new Set(metadata.row_groups.flatMap((g) => g.columns.map((c) => c.meta_data.codec)))]
  console.log(JSON.stringify({ columns, codecs, rows: Number(metadata.num_rows) }))
  for (const row of await parquetReadObjects({ file, metadata, compressors })) console.log(JSON.stringify(row, plain))
}
