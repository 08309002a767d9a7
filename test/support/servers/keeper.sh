# Ends what it was told about as soon as its standard input closes: when the process that started it ended, however it did.
#   group PGID SIGNAL   a process group, and the signal that ends it
#   ended PGID          a group that is gone already
#   folder PATH         a folder to remove
#   project NAME        a compose project to take down
trap '' INT TERM HUP
groups=''
projects=''
nl='
'
folders=''
while read -r word first rest; do
  case $word in
    group) groups="$groups $first:$rest" ;;
    ended)
      left=''
      for group in $groups; do
        [ "${group%%:*}" = "$first" ] || left="$left $group"
      done
      groups=$left
      ;;
    project) projects="$projects $first" ;;
    folder) folders="$folders$first${rest:+ $rest}$nl" ;;
  esac
done
for project in $projects; do
  docker compose --project-name "$project" down --volumes --timeout 2 >/dev/null 2>&1
done
for group in $groups; do
  kill -s "${group#*:}" -- "-${group%%:*}" 2>/dev/null
done
for group in $groups; do
  tries=50
  while [ $tries -gt 0 ] && kill -s 0 -- "-${group%%:*}" 2>/dev/null; do
    sleep 0.1
    tries=$((tries - 1))
  done
  kill -s KILL -- "-${group%%:*}" 2>/dev/null
done
IFS=$nl
for folder in $folders; do
  rm -rf -- "$folder"
done
exit 0
