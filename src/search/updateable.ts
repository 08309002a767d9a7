/**
 * What Elasticsearch 8 changes of an index that is there, and whether documents that are there follow by themselves.
 *
 * What is not listed needs a new version: at worst that costs more than it must.
 * @module
 */

/** How a change reaches an index, the cheapest first. */
export const ways = {
  /** Into the index that is there: `es:create --in-place`. */
  inPlace: 'in-place',
  /** A new version, whose documents are those of the old one. */
  copy: 'copy',
  /** A new version, whose documents are made anew. */
  populate: 'populate',
} as const satisfies Record<string, Way>

/** One of them. */
export type Way = 'in-place' | 'copy' | 'populate'

// Parameters of fields: true where documents have to be written again before it holds for them.
const parameters: Readonly<Record<string, boolean>> = {
  coerce: false,
  copy_to: true,
  depth_limit: true,
  dynamic: false,
  eager_global_ordinals: false,
  fielddata: false,
  fielddata_frequency_filter: false,
  ignore_above: true,
  ignore_malformed: false,
  ignore_z_value: false,
  max_input_length: true,
  meta: false,
  search_analyzer: false,
  search_quote_analyzer: false,
  split_queries_on_whitespace: false,
}

/** How a changed parameter of a field reaches the index; `refresh` where documents have to be written again for it. */
export function parameterWay(
  name: string,
  { type, before, after }: { type: string; before: unknown; after: unknown },
): { way: Way; refresh: boolean } {
  const refresh = parameters[name]
  const isLeft = name === 'dynamic' && after === undefined
  if (refresh !== undefined && !isLeft) return { way: ways.inPlace, refresh }
  const isAllowed = type === 'text' && name === 'norms' && after === 'false' ||
    type === 'alias' && name === 'path' ||
    type === 'join' && name === 'relations' && onlyAdds(before, after)
  return { way: isAllowed ? ways.inPlace : ways.copy, refresh: false }
}

// Relations of a join: names of parents, each with the names of its children.
function onlyAdds(before: unknown, after: unknown): boolean {
  const old = Object.entries((before ?? {}) as Record<string, unknown>)
  const children = (name: string) => [((after ?? {}) as Record<string, unknown>)[name]].flat()
  return old.every(([name, each]) => [each].flat().every((child) => children(name).includes(child)))
}

/** What a root parameter of mappings is put to where a definition leaves it out; these can be changed in place. */
export const rootDefaults: Readonly<Record<string, unknown>> = {
  _meta: {},
  dynamic: 'true',
  date_detection: 'true',
  numeric_detection: 'false',
  dynamic_date_formats: ['strict_date_optional_time', 'yyyy/MM/dd HH:mm:ss Z||yyyy/MM/dd Z'],
  dynamic_templates: [],
}

const dynamicSettings = [
  'allocation.max_retries',
  'analyze.max_token_count',
  'auto_expand_replicas',
  'blocks.*',
  'default_pipeline',
  'final_pipeline',
  'flush_after_merge',
  'hidden',
  'highlight.*',
  'indexing.slowlog.*',
  'lifecycle.*',
  'mapping.depth.limit',
  'mapping.dimension_fields.limit',
  'mapping.field_name_length.limit',
  'mapping.nested_fields.limit',
  'mapping.nested_objects.limit',
  'mapping.total_fields.*',
  'max_docvalue_fields_search',
  'max_inner_result_window',
  'max_ngram_diff',
  'max_refresh_listeners',
  'max_regex_length',
  'max_rescore_window',
  'max_result_window',
  'max_script_fields',
  'max_shingle_diff',
  'max_terms_count',
  'merge.*',
  'number_of_replicas',
  'priority',
  'query.default_field',
  'refresh_interval',
  'requests.cache.enable',
  'routing.allocation.*',
  'routing.rebalance.enable',
  'search.idle.after',
  'search.slowlog.*',
  'soft_deletes.retention_lease.period',
  'translog.durability',
  'translog.flush_threshold_size',
  'translog.sync_interval',
  'unassigned.node_left.delayed_timeout',
  'warmer.enabled',
  'write.wait_for_active_shards',
]

/** How a changed setting reaches the index; `refresh` where documents have to be written again for it. */
export function settingWay(name: string): { way: Way; refresh: boolean } {
  const isDynamic = dynamicSettings.some((each) =>
    each === name || each.endsWith('*') && name.startsWith(each.slice(0, -1))
  )
  const isPipeline = name === 'default_pipeline' || name === 'final_pipeline'
  return { way: isDynamic ? ways.inPlace : ways.copy, refresh: isPipeline }
}
