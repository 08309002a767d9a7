/**
 * Which rows belong: conditions of a place and of what it requires, as SQL.
 * @module
 */
import { quoteName, quoteTable } from '../../src/sql.ts'
import type { Include, Plan } from './plan.ts'
import { whereSql } from './where.ts'

/** A column of an alias. */
export function column(alias: string, name: string): string {
  return `${quoteName(alias)}.${quoteName(name)}`
}

/** Table and alias of an include, with its join table. */
export function fromInclude({ table, alias, ownColumn, through }: Include): string {
  const own = `${quoteTable(table)} AS ${quoteName(alias)}`
  if (!through) return own
  const joined = `${column(through.alias, through.ownColumn)} = ${column(alias, ownColumn)}`
  return `${own} JOIN ${quoteTable(through.table)} AS ${quoteName(through.alias)} ON ${joined}`
}

/** The column of an include that holds its parent's value. */
export function upColumn({ alias, ownColumn, through }: Include): string {
  return through ? column(through.alias, through.parentColumn) : column(alias, ownColumn)
}

/** Conditions that a row of this place must meet; a required include without a row leaves it out. */
export function conditions(place: Plan | Include): string[] {
  const through = (place as Partial<Include>).through
  const required = place.includes.filter((each) => each.required)
  return [
    whereSql(place.model, place.where, place.alias),
    through ? whereSql(through.model, through.where, through.alias) : '',
    ...required.map((each) => `EXISTS (${existing(each, place.alias)})`),
  ].filter((each) => each !== '').map((each) => `(${each})`)
}

function existing(include: Include, parentAlias: string): string {
  const joined = `${upColumn(include)} = ${column(parentAlias, include.parentColumn)}`
  return `SELECT FROM ${fromInclude(include)}${whereAll([joined, ...conditions(include)])}`
}

/** ` WHERE …` of conditions that all must be met; empty when there are none. */
export function whereAll(all: readonly string[]): string {
  return all.length === 0 ? '' : ` WHERE ${all.join(' AND ')}`
}
